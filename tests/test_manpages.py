"""The man pages: they are as generated, and describe the program's options, keys and defaults, and no others."""

import argparse
import re
import shutil
import subprocess
import tomllib

import attrs
import pytest
from twisted.scripts.twistd import ServerOptions

from tests.config.configurations import NO_SECTIONS
from tests.e2e.conftest import skip_or_fail
from tests.generated import MAN, ROOT, SOURCES, generated
from wsdgateway.app import tap as gateway
from wsdgateway.cli.adminclient import TOKEN_VARIABLE
from wsdgateway.cli.main import BROKEN_PIPE, make_parser
from wsdgateway.cli.scan.outcomes import MEANINGS
from wsdgateway.config import checks, reading, sections
from wsdgateway.config.numbers import Number, digits
from wsdgateway.config.wrong import Wrong
from wsdgateway.net.scanners.ratelimit import DEFAULT_RATE
from wsdgateway.simulator import tap as simulator
from wsdgateway.simulator.conditions import KINDS
from wsdgateway.simulator.settings import Settings

_DEFINITION = re.compile(r"^(?P<term>\S.*)\n\n:   (?P<text>(?:.+\n|\n(?=    ))+)", re.MULTILINE)
_SECTIONS = {**{f"[{name}]": kind for name, kind in reading._TABLES.items()},
             **{f"[[{name}]]": kind for name, kind in reading._ARRAYS.items()}}
KEYS = [(heading, field) for heading, kind in _SECTIONS.items() for field in attrs.fields(kind)]
_UNITS = {"a number of seconds": {"*seconds*"}, "a number per second": {"*number*"},
          "a whole number": {"*integer*", "*bytes*"}}


def page(name):
    """The text below each heading of a page's source."""
    parts = re.split(r"^#+ (.+)\n", (MAN / f"{name}.md").read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def definitions(text):
    """The terms of the definition lists, as they are in the source, with the text of each on one line."""
    return {found["term"]: " ".join(found["text"].split()) for found in _DEFINITION.finditer(text)}


def literals(text):
    return re.findall(r"`([^`]+)`", text)


def by_literal(text):
    """The text of each definition, by each literal of its term."""
    return {name: body for term, body in definitions(text).items() for name in literals(term)}


def by_key(text):
    """The value and the text of each definition whose term is a key, by key."""
    return {literals(term)[0]: (term, body) for term, body in definitions(text).items()}


def default_in(text):
    """The value after "Default:" if it is a literal."""
    found = re.search(r"Default: `([^`]+)`", text)
    return tomllib.loads(f"value = {found[1]}")["value"] if found else None


def has_writable_default(field):
    """Whether the default is a value that could stand in the file."""
    if field.default is None or isinstance(field.default, attrs.Factory):
        return False
    try:
        return field.default != () or field.metadata["check"]([]) == ()
    except Wrong:
        return False


def parsers(parser, name=""):
    """Each parser of the console script that runs something, by the words that select it."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, child in action.choices.items():
                found |= parsers(child, f"{name} {word}".strip())
    return found or {name: parser}


COMMANDS = parsers(make_parser())
ACTIONS = [(command, action) for command, parser in COMMANDS.items() for action in parser._actions
           if action.option_strings and not isinstance(action, argparse._HelpAction | argparse._VersionAction)]


def test_the_pages_are_as_generated():
    """To make them again: venv/bin/python -m tests.generated"""
    made = {path: content for path, content in generated().items() if path.parent == MAN}
    assert set(made) == {path for path in MAN.iterdir() if path.suffix != ".md"}
    assert [path.name for path, content in made.items() if path.read_text("utf-8") != content] == []


def test_no_number_at_the_beginning_of_a_line_became_a_list():
    assert [source.stem for source in SOURCES if '\n.IP "' in source.with_suffix("").read_text("utf-8")] == []


@pytest.mark.parametrize("name", [source.stem for source in SOURCES])
def test_man_has_no_warning(name):
    if shutil.which("man") is None:
        skip_or_fail("needs man: apt install man-db")
    shown = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", MAN / name], capture_output=True, text=True,
                           timeout=60)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\nSEE ALSO\n" in shown.stdout


def test_every_subcommand_and_no_other_is_described():
    described = page("wsdgateway.1")
    start, end = (list(described).index(heading) for heading in ("SUBCOMMANDS", "EXIT STATUS"))
    assert set(list(described)[start + 1:end]) == set(COMMANDS)
    for command, parser in COMMANDS.items():
        assert f"`wsdgateway {command}`" in described["SYNOPSIS"]
        for action in parser._actions:
            assert action.option_strings or f"*{action.metavar}*" in described[command], (command, action.dest)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_subcommand_and_no_other_is_described(command):
    terms = set(by_literal(page("wsdgateway.1")[command]))
    assert terms == {string for of, action in ACTIONS if of == command for string in action.option_strings}


def test_every_general_option_and_no_other_is_described():
    assert set(by_literal(page("wsdgateway.1")["OPTIONS"])) == {
        string for action in make_parser()._actions for string in action.option_strings}


@pytest.mark.parametrize(("command", "action"), ACTIONS, ids=lambda value: getattr(value, "dest", value))
def test_values_of_options_are_described(command, action):
    text = by_literal(page("wsdgateway.1")[command])[action.option_strings[0]]
    if action.choices:
        assert set(action.choices) <= set(literals(text))
    if action.default not in (None, False, []):
        stated = re.search(r"Default: `?([^\s`]+?)`?\.(?: |$)", text)
        assert type(action.default)(stated[1]) == action.default
    bounds = re.search(r"from (\S+) to (\d+)", text)
    assert (bounds is not None) == ("between" in getattr(action.type, "__qualname__", ""))
    if bounds is not None:
        lowest, highest = map(float, bounds.groups())
        assert (action.type(bounds[1]), action.type(bounds[2])) == (lowest, highest)
        for outside in (lowest - 0.01, highest + 1):
            with pytest.raises(argparse.ArgumentTypeError):
                action.type(digits(outside))


def test_the_default_url_and_the_variable_of_the_token_are_described():
    described = page("wsdgateway.1")
    for command in ("status", "tail"):
        assert f"`{COMMANDS[command].get_default('url')}` by default" in described[command]
    assert TOKEN_VARIABLE in by_literal(described["ENVIRONMENT"])


def test_every_exit_status_is_described():
    described = {int(term) for term in definitions(page("wsdgateway.1")["EXIT STATUS"])}
    assert described == set(MEANINGS) | {1, BROKEN_PIPE}  # 1: the gateway itself, as with twistd


@pytest.mark.parametrize(("heading", "options", "common"), [
    ("OPTIONS OF THE GATEWAY", gateway.Options, set()),
    ("OPTIONS OF THE VIRTUAL SCANNER", simulator.Options, {"help", "version"})])
def test_every_option_of_a_plugin_and_no_other_is_described(heading, options, common):
    names = set(options().synonyms) - common
    terms = by_literal(page("wsdgateway-gateway.8")[heading])
    assert set(terms) == {f"--{name}" if len(name) > 1 else f"-{name}" for name in names}


def test_options_of_twistd_exist():
    options = ServerOptions()
    known = {f"--{name.rstrip('=')}" for name in options.longOpt} | {f"-{name}" for name in options.shortOpt}
    assert set(by_literal(page("wsdgateway-gateway.8")["OPTIONS OF TWISTD"])) <= known


def test_the_files_that_are_described_are_those_of_the_program():
    described = page("wsdgateway-gateway.8")
    for candidate in reading.CANDIDATES:
        assert candidate in by_literal(described["OPTIONS OF THE GATEWAY"])["--config"]
    named = set(re.findall(r"`share/wsdgateway/([^`]+)`", described["FILES"]))
    assert named == {path.name for path in (ROOT / "config").iterdir() if path.is_file()}


def test_every_setting_of_the_virtual_scanner_and_no_other_is_described():
    text, _, control = page("wsdgateway-gateway.8")["VIRTUAL SCANNER"].partition("GET `/control/`")
    described = by_key(text)
    assert control
    assert list(described) == [field.name for field in attrs.fields(Settings)]
    for field in attrs.fields(Settings):
        check = field.metadata["check"]
        assert check(default_in(described[field.name][1])) == field.default, field.name
        if isinstance(check, Number):
            assert bounds_of(check).lower() in described[field.name][1], field.name


def test_every_kind_of_trouble_of_the_virtual_scanner_is_described():
    _, _, control = page("wsdgateway-gateway.8")["VIRTUAL SCANNER"].partition("GET `/control/`")
    manual = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    for name in KINDS:
        assert f"`{name}`" in control and f"`{name}`" in manual, name


def bounds_of(number):
    return f"From {digits(number.lowest)} to {digits(number.highest)}" + (", or 0" if number.zero else "")


def test_every_section_and_no_other_is_described():
    assert [heading for heading in page("gateway.toml.5") if heading.startswith("[")] == [
        f"[[{field.name}]]" if field.name in reading._ARRAYS else f"[{field.name}]" for field in _in_order()]


def _in_order():
    """The sections in the order of the sample file."""
    text = (ROOT / "config" / "gateway.toml").read_text("utf-8")
    known = [field for field in attrs.fields(sections.Config) if field.name not in NO_SECTIONS]
    return sorted(known, key=lambda field: re.search(rf"^\[+{field.name}\]", text, re.MULTILINE).start())


@pytest.mark.parametrize("heading", _SECTIONS)
def test_every_key_and_no_other_is_described(heading):
    assert set(by_key(page("gateway.toml.5")[heading])) == {field.name for field in attrs.fields(_SECTIONS[heading])}


@pytest.mark.parametrize(("heading", "field"), KEYS, ids=lambda value: getattr(value, "name", value))
def test_defaults_and_bounds_are_those_of_the_program(heading, field):
    term, text = by_key(page("gateway.toml.5")[heading])[field.name]
    check = field.metadata["check"]
    if field.default is attrs.NOTHING:
        assert text.endswith("Required.")
    elif has_writable_default(field):
        assert check(default_in(text)) == field.default
    else:
        assert "Default: " in text and default_in(text) is None
    if isinstance(check, Number):
        assert bounds_of(check) in text
        assert term.partition(" = ")[2] in _UNITS[check.what]
    else:
        assert "From " not in text
    assert (check is checks.flag) == term.endswith("= `true` | `false`")


def test_the_default_rate_is_that_of_the_program():
    assert f"Default: {digits(DEFAULT_RATE)}, or 0" in by_key(page("gateway.toml.5")["[[scanner]]"])["max_rate"][1]


def test_every_operation_is_described():
    assert literals(by_key(page("gateway.toml.5")["[[allow]]"])["operations"][1]) == list(checks.OPERATIONS)


def test_the_keys_that_replace_a_scanner_are_described():
    [keys] = re.findall(r"^A change of ([^.]+) replaces a scanner", page("gateway.toml.5")["RELOAD"], re.MULTILINE)
    assert literals(keys) == [field.name for field in attrs.fields(sections.ScannerConfig)
                              if field.metadata.get("identifies")]


def test_the_examples_are_valid():
    for example in re.findall(r"(?:^    .*\n|\n)+", page("gateway.toml.5")["EXAMPLES"], re.MULTILINE):
        if example.strip():
            reading.make_config(tomllib.loads(example), "gateway.toml")
