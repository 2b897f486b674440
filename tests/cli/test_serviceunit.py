"""Tests of cli.serviceunit and cli.written: the installed unit, and the folders that it lets the gateway write."""

from pathlib import Path

import pytest

from wsdgateway.cli import serviceunit
from wsdgateway.cli.main import main
from wsdgateway.cli.serviceunit import ServiceUnit

SHIPPED = Path(__file__).parents[2] / "config" / "wsdgateway.service"
LISTEN = '[[listen]]\nendpoint = "tcp:5358"\n'
SCANNER = '[[scanner]]\nname = "a"\nscan = "http://192.0.2.9/scan"\n'


class Host:
    """Folders of units, of which an earlier one hides those in later ones."""

    def __init__(self, folder):
        self.folder = folder
        self.folders = (folder / "etc", folder / "lib")

    def add(self, text, name="wsdgateway.service", where=0):
        file = self.folders[where] / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return self

    def drop_in(self, text, name="override.conf", where=0):
        return self.add(f"[Service]\n{text}\n", f"wsdgateway.service.d/{name}", where)

    def unit(self):
        return ServiceUnit.installed(self.folders)


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


@pytest.fixture
def shipped(host):
    return host.add(SHIPPED.read_text())


def test_without_a_unit_there_is_none(host):
    assert host.unit() is None
    assert host.drop_in("ReadWritePaths=/srv").unit() is None


def test_the_configuration_that_the_unit_uses(shipped):
    assert shipped.unit().runs("/etc/wsdgateway/gateway.toml")
    assert not shipped.unit().runs("/etc/wsdgateway/other.toml")
    shipped.drop_in("ExecStart=\nExecStart=/usr/bin/wsdgateway run --config=/srv/g.toml")
    assert shipped.unit().runs("/srv/g.toml") and not shipped.unit().runs("/etc/wsdgateway/gateway.toml")


def test_the_folders_that_systemd_makes(shipped):
    assert shipped.unit().environment() == {
        "STATE_DIRECTORY": "/var/lib/wsdgateway", "LOGS_DIRECTORY": "/var/log/wsdgateway"}


@pytest.mark.parametrize(("folder", "shut"), [
    ("/var/lib/wsdgateway", False), ("/var/lib/wsdgateway/spool", False), ("/var/log/wsdgateway/captures", False),
    ("/var/lib/wsdgateway2", True), ("/var/lib", True), ("/etc/wsdgateway", True), ("/srv/scans", True),
    ("/home/me", True)])
def test_what_the_shipped_unit_lets_the_gateway_write(shipped, folder, shut):
    assert shipped.unit().shuts(Path(folder)) is shut


def test_drop_ins_add_paths_in_order_and_an_empty_value_resets_them(shipped):
    shipped.drop_in("ReadWritePaths=/srv/scans -/srv/other\nReadWritePaths='/srv/a b'", "10.conf")
    assert [shipped.unit().shuts(Path(name)) for name in ("/srv/scans/x", "/srv/other", "/srv/a b", "/srv")] == [
        False, False, False, True]
    shipped.drop_in("ReadWritePaths=\n# ReadWritePaths=/srv/scans\nReadWritePaths=/mnt", "20.conf", where=1)
    assert [shipped.unit().shuts(Path(name)) for name in ("/srv/scans", "/mnt")] == [True, False]
    shipped.drop_in("ProtectSystem=full", "30.conf")
    assert not shipped.unit().shuts(Path("/srv/scans"))


def test_a_home_needs_another_line(shipped):
    path = Path("/home/me/scans")
    assert shipped.unit().cure(path) == "ProtectHome=tmpfs and BindPaths=/home/me/scans"
    shipped.drop_in("ReadWritePaths=/home/me/scans")
    assert shipped.unit().shuts(path)  # ProtectHome hides it nevertheless
    shipped.drop_in("ProtectHome=tmpfs\nBindPaths=/home/me/scans")
    assert not shipped.unit().shuts(path)


def test_a_bound_folder_is_at_its_place_in_the_unit(shipped):
    shipped.drop_in("BindPaths=-/mnt/a:/srv/a:rbind /mnt/b::norbind /mnt/c")
    assert [shipped.unit().shuts(Path(name)) for name in ("/srv/a", "/mnt/a", "/mnt/b", "/mnt/c")] == [
        False, True, False, False]


def test_temporary_folders_are_the_units_own(shipped):
    shipped.drop_in("BindPaths=/tmp/bound")
    unit = shipped.unit()
    assert [(unit.is_private(path), unit.shuts(path)) for path in map(Path, ("/tmp", "/var/tmp/x", "/tmp/bound"))] == [
        (True, False), (True, False), (False, False)]
    assert not unit.is_private(Path("/srv/tmp"))
    shipped.drop_in("PrivateTmp=no", "z.conf")
    assert (shipped.unit().is_private(Path("/tmp")), shipped.unit().shuts(Path("/tmp"))) == (False, True)


@pytest.mark.parametrize("name", ["a b", "100%", 'x"y', "it's", "back\\\\slash"])
def test_the_line_to_add_is_quoted_as_a_unit_needs_it(shipped, name):
    path = Path("/srv") / name
    assert shipped.unit().shuts(path)
    shipped.drop_in(shipped.unit().cure(path))
    assert not shipped.unit().shuts(path)


def test_a_unit_with_mistakes_is_read_as_far_as_possible(host):
    unit = host.add("[Service]\nReadWritePaths='/srv\nProtectSystem=strict\nExecStart=x --config\n"
                    "[Install]\nReadWritePaths=/mnt\n").unit()
    assert unit.shuts(Path("/srv")) and unit.shuts(Path("/mnt")) and not unit.runs("x")


def run(host, capsys, monkeypatch, text, more=""):
    """Checks a configuration that the unit on this host uses; returns the status and the warnings."""
    file = host.folder / "g.toml"
    file.write_text(text)
    host.add(f"[Service]\nProtectSystem=strict\nStateDirectory=wsdgateway-of-a-test\n{more}"
             f"ExecStart=/usr/bin/wsdgateway run --config {file}\n")
    monkeypatch.setattr(serviceunit, "FOLDERS", host.folders)
    status = main(["check", str(file)])
    said = capsys.readouterr()
    return status, said.err, [line for line in said.out.splitlines() if line.startswith("warning: ")]


def test_check_expects_the_store_in_the_folder_that_systemd_will_make(host, capsys, monkeypatch):
    assert run(host, capsys, monkeypatch, LISTEN + SCANNER + "[escl]\n") == (0, "", [])


def test_check_names_each_folder_that_the_unit_does_not_let_the_gateway_write(host, capsys, monkeypatch):
    (host.folder / "log").mkdir()
    text = ('[gateway]\nstate = "sqlite:s.sqlite"\n' + LISTEN + '[escl]\nspool = "spool"\n'
            '[exchange_log]\npath = "log/x.jsonl"\ncapture = "captures"\n' + SCANNER)
    status, errors, warnings = run(host, capsys, monkeypatch, text)
    assert (status, errors) == (0, "")
    keys = {2: ("[gateway] state", ""), 6: ("[escl] spool", "/spool"), 8: ("[exchange_log] path", "/log"),
            9: ("[exchange_log] capture", "/captures")}
    assert warnings == [
        f"warning: {host.folder}/g.toml:{line}: {key}: the sandbox of wsdgateway.service does not let the gateway "
        f"write in {host.folder}{below}; create the folder, run systemctl edit wsdgateway, and add below [Service]: "
        f"ReadWritePaths={host.folder}{below}" for line, (key, below) in keys.items()]
    assert run(host, capsys, monkeypatch, text, f"ReadWritePaths={host.folder}\n") == (0, "", [])


def test_check_names_folders_that_only_the_unit_sees(host, capsys, monkeypatch):
    folder = Path("/tmp/scans-of-a-test")
    text = LISTEN + SCANNER + f'[[destination]]\nname = "Scans"\nfolder = "{folder}"\n'
    status, errors, warnings = run(host, capsys, monkeypatch, text, "PrivateTmp=yes\n")
    assert (status, errors) == (0, "")
    assert [line for line in warnings if "PrivateTmp" in line] == [
        f'warning: {host.folder}/g.toml:8: [[destination]] "Scans" folder: wsdgateway.service has a /tmp and a '
        f"/var/tmp of its own (PrivateTmp), so that no other program finds the files in {folder}, and they are "
        "removed when it stops; choose another folder"]


def test_check_of_another_configuration_does_not_read_the_unit(host, capsys, monkeypatch):
    other = host.folder / "other.toml"
    other.write_text(LISTEN)
    run(host, capsys, monkeypatch, LISTEN)
    assert main(["check", str(other)]) == 0
    assert "warning" not in capsys.readouterr().out
