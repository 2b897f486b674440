"""Installation from any folder: the plugins, the console script, and the data files."""

import shutil
import subprocess
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

from tests.e2e.conftest import skip_or_fail

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A virtual environment with wsdgateway installed; its dependencies are those of this Python."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", str(ROOT)], check=True, timeout=300)
    site = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                          capture_output=True, text=True).stdout.strip()
    (Path(site) / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return python


def run(*command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def test_twistd_finds_both_plugins(installed, tmp_path):
    done = run(installed, "-c", (
        "import wsdgateway\n"
        "from twisted.application.service import IServiceMaker\n"
        "from twisted.plugin import getPlugins\n"
        "print(wsdgateway.__file__)\n"
        "print(sorted(p.tapname for p in getPlugins(IServiceMaker) if p.tapname.startswith('wsd')))"), cwd=tmp_path)
    file, plugins = done.stdout.splitlines()
    assert file.startswith(str(installed.parent.parent))
    assert plugins == "['wsdgateway', 'wsdscanner']"


def test_the_options_of_both_plugins_load(installed, tmp_path):
    for plugin in ("wsdgateway", "wsdscanner"):
        done = run(installed, "-m", "twisted", plugin, "--help", cwd=tmp_path)
        assert "--config" in done.stdout + done.stderr


def test_the_console_script_runs_from_anywhere(installed, tmp_path):
    done = run(installed.with_name("wsdgateway"), "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "scan" in done.stdout


def test_data_files_are_installed(installed, tmp_path):
    done = run(installed, "-c", (
        "from importlib.resources import files\n"
        "print([f.name for f in files('wsdgateway.storage').iterdir() if f.name.endswith('.sql')])"), cwd=tmp_path)
    assert "0001-finished-jobs.sql" in done.stdout


def test_configuration_and_documents_are_installed(installed, tmp_path):
    share = installed.parent.parent / "share"
    for installed_folder, folder in (("wsdgateway", "config"), ("wsdgateway/cluster", "config/cluster"),
                                     ("doc/wsdgateway/docs", "docs")):
        assert {path.name for path in (share / installed_folder).iterdir() if path.is_file()} == {
            path.name for path in (ROOT / folder).iterdir() if path.is_file()}
    assert (share / "doc" / "wsdgateway" / "README.md").exists()
    done = run(installed.with_name("wsdgateway"), "check", str(share / "wsdgateway" / "gateway.toml"), cwd=tmp_path)
    assert (done.returncode, "no mistakes" in done.stdout) == (0, True), done.stdout + done.stderr


def test_man_pages_and_completion_are_where_programs_look_for_them(installed):
    share = installed.parent.parent / "share"
    pages = {f"man/man{page.suffix[1:]}/{page.name}": page for page in (ROOT / "docs" / "man").glob("*.[158]")}
    assert len(pages) == 3
    completion = ROOT / "config" / "completion"
    for name, source in {**pages, "bash-completion/completions/wsdgateway": completion / "wsdgateway",
                         "zsh/site-functions/_wsdgateway": completion / "_wsdgateway"}.items():
        assert (share / name).read_bytes() == source.read_bytes()


def test_man_finds_the_pages(installed, tmp_path):
    if shutil.which("man") is None:
        skip_or_fail("needs man: apt install man-db")
    share = installed.parent.parent / "share"
    path = f"{installed.parent}:/usr/bin:/bin"
    for title in ("wsdgateway", "wsdgateway-gateway", "gateway.toml"):
        assert run("man", "-M", share / "man", "-w", title, cwd=tmp_path).stdout.startswith(f"{share}/man/")
        assert run("env", "-u", "MANPATH", f"PATH={path}", "man", "-w", title, cwd=tmp_path).stdout.startswith(
            f"{share}/man/")


def test_the_licence_is_in_the_metadata(installed, tmp_path):
    done = run(installed, "-c", (
        "from importlib.metadata import distribution\n"
        "found = distribution('wsdgateway')\n"
        "print(found.metadata['Author'])\n"
        "print(any(file.name == 'LICENSE' for file in found.files))"), cwd=tmp_path)
    assert done.stdout.splitlines() == ["the wsdgateway authors", "True"]


def test_a_source_distribution_is_complete(installed, tmp_path):
    """It suffices to build, configure and test the program, and to read its documentation."""
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(
        ".*", "venv", "build", "dist", "*.egg-info", "__pycache__", "findings", "dropin.cache*"))
    done = run(installed, "-c", "from setuptools import build_meta; print(build_meta.build_sdist('..'))", cwd=source)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / done.stdout.splitlines()[-1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {str(path.relative_to(source)) for folder in ("config", "docs", "tests", "wsdgateway")
              for path in (source / folder).rglob("*") if path.is_file()}
    wanted |= {"LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
               "twisted/plugins/wsdgateway_plugin.py"}
    assert wanted - names == set()
