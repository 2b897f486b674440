"""Tests of a scanner's options: configuration sections are passed on whole, and a change reaches every user of them."""

import ast
from pathlib import Path

import attrs
import pytest

from tests.options import scanner_options
from wsdgateway.config.sections import Cache, Events, ScannerConfig

ROOT = Path(__file__).parents[3] / "wsdgateway"

# Keys that identify or locate the scanner, which composition has to know; and words that have another meaning, too.
KNOWN = {"name", "scan", "device", "uuid", "bridge", "escl_port"}
AMBIGUOUS = {"cache", "events", "identity", "address", "check", "escl", "timeout"}


def keys(section):
    return {field.name for field in attrs.fields(section)} - KNOWN - AMBIGUOUS


def words(path):
    """Yields the names of attributes and keyword arguments in a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg


@pytest.mark.parametrize("path", [*sorted((ROOT / "app").glob("*.py")), ROOT / "net" / "bridgedscanner.py"],
                         ids=lambda path: path.name)
def test_modules_that_pass_on_options_name_no_key_of_scanner_sections(path):
    assert keys(ScannerConfig) & set(words(path)) == set()


@pytest.mark.parametrize("path", [ROOT / "app" / "scanners.py"], ids=lambda path: path.name)
def test_the_module_that_creates_options_names_no_key_of_cache_and_events(path):
    assert (keys(Cache) | keys(Events)) & set(words(path)) == set()


def test_options_are_made_of_sections():
    options = scanner_options("hall", max_rate=3.0, history=5, expires=60.0, uuid="urn:uuid:5", suffix=" (shared)")
    assert (options.name, options.uuid, options.suffix) == ("hall", "urn:uuid:5", " (shared)")
    assert options.section == ScannerConfig("hall", uuid="urn:uuid:5", max_rate=3.0)
    assert (options.cache, options.events) == (Cache(history=5), Events(expires=60.0))
    one = options.with_one_connection()
    assert one.section == attrs.evolve(options.section, max_connections=1)
    assert attrs.evolve(one, section=options.section) == options
