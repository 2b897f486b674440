"""Files of the Debian package and of the container image: they match the requirements, the unit and the defaults."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from wsdgateway.config import reading
from wsdgateway.config.sections import Admin

ROOT = Path(__file__).parents[1]
PACKAGING = ROOT / "config" / "packaging"
DEBIAN = PACKAGING / "debian"
NAMES = {"attrs": "attr", "Pillow": "pil", "pyOpenSSL": "openssl", "prometheus_client": "prometheus-client"}
SCRIPTS = [*(PACKAGING / name for name in ("build-deb", "test-deb", "check-deb")),
           *(DEBIAN / f"wsdgateway.{name}" for name in ("postinst", "prerm", "postrm"))]


def required(section, key):
    """Returns the least version of each package in a list of `setup.cfg`, by its name in Debian."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    pairs = (line.split(" >= ") for line in setup[section][key].split("\n") if line)
    return {f"python3-{NAMES.get(name, name.lower())}": least for name, least in pairs}


def requirements():
    """Returns the least version of each package that the program requires, by its name in Debian."""
    return required("options", "install_requires")


def given(field):
    """Returns the least version of each Python package in a field of the package's control file."""
    [block] = re.findall(rf"^{field}:\n((?:[ #].*\n)+)", (DEBIAN / "control").read_text(), re.MULTILINE)
    return dict(re.findall(r"^ (python3-[a-z0-9.-]+) \(>= ([0-9.]+)\),$", block, re.MULTILINE))


def bundled():
    [names] = re.findall("^BUNDLED = (.+)$", (DEBIAN / "rules").read_text(), re.MULTILINE)
    return {f"python3-{name}" for name in names.split()}


@pytest.mark.parametrize("field", ["Build-Depends", "Depends"])
def test_the_package_depends_on_what_the_program_requires(field):
    depends = given(field)
    # Twisted requires this one; the program does not import it.
    del depends["python3-incremental"]
    assert depends == {name: least for name, least in requirements().items() if name not in bundled()}


def test_the_package_suggests_what_several_gateways_need_and_the_image_has_it():
    assert given("Suggests") == required("options.extras_require", "redis")
    [last] = re.findall(r"apt-get install -y --no-install-recommends (.+?) \\\n", (
        PACKAGING / "Containerfile").read_text())
    assert set(required("options.extras_require", "redis")) <= set(last.split())


def test_what_is_bundled_is_required():
    assert bundled() < set(requirements())


def test_the_package_uses_the_programs_of_the_unit():
    unit = (ROOT / "config" / "wsdgateway.service").read_text()
    assert set(re.findall("/opt/wsdgateway/(\\S+)", unit)) == {"bin/wsdgateway", "bin/twistd"}
    assert "|/opt/wsdgateway/|" in (DEBIAN / "rules").read_text()


def test_the_default_configuration_is_valid_also_with_its_examples(tmp_path):
    text = (DEBIAN / "gateway.toml").read_text()
    assert not reading.read_config(str(DEBIAN / "gateway.toml")).scanner
    (tmp_path / "gateway.toml").write_text(re.sub("^#   (?!wsdgateway )", "", text, flags=re.MULTILINE))
    config = reading.read_config(str(tmp_path / "gateway.toml"))
    assert [scanner.name for scanner in config.scanner] == ["front-desk"]


def test_the_image_is_built_from_the_files_that_the_package_needs():
    [listed] = re.findall(r" -cf - (.+?) \|", (PACKAGING / "build-deb").read_text().replace("\\\n", ""))
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (PACKAGING / "Containerfile").read_text(), re.MULTILINE)
    assert sorted(" ".join(copied).split()) == sorted(listed.split())


def test_the_health_check_asks_the_default_address():
    [port] = re.findall(r"http://127\.0\.0\.1:(\d+)/healthz", (PACKAGING / "Containerfile").read_text())
    assert Admin().endpoint == f"tcp:{port}:interface=127.0.0.1"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_have_no_syntax_errors(script):
    shell = script.read_text().partition("\n")[0].removeprefix("#!")
    assert shutil.which(shell), shell
    assert subprocess.run([shell, "-n", script], capture_output=True, text=True, timeout=30).stderr == ""
