"""Tests of cli.check: the subcommand `wsdgateway check`."""

import socket

import pytest
import pytest_twisted

from tests.certificates import Certified
from tests.config.configurations import SAMPLE
from tests.ports import free_port
from wsdgateway.app.tap import Options, makeService
from wsdgateway.cli.main import main
from wsdgateway.config import reading
from wsdgateway.storage.spool import Spool
from wsdgateway.storage.sqlite import SqliteStore

LISTEN = '[[listen]]\nendpoint = "tcp:5358"\n'


@pytest.fixture
def check(tmp_path, capsys):
    """Checks a configuration: returns the exit status, the lines on stdout, and those on stderr, without the folder."""

    def run(text, *arguments):
        file = tmp_path / "g.toml"
        file.write_text(text)
        status = main(["check", str(file), *arguments])
        said = capsys.readouterr()
        return status, *(text.replace(f"{tmp_path}/", "").splitlines() for text in (said.out, said.err))

    return run


def test_check_reads_a_file_and_prints_its_errors(check, capsys):
    assert main(["check", str(SAMPLE)]) == 0
    assert "1 scanner(s), 2 listener(s)" in capsys.readouterr().out
    status, out, errors = check("# none\n[cache]\nmax_age = 0\n")
    assert (status, out, len(errors)) == (2, [], 2)
    assert errors[0].startswith("g.toml:3: [cache] max_age = 0: must be ")
    assert errors[1].startswith("g.toml: there is no [[listen]] section")


def test_the_folders_of_destinations(check, tmp_path):
    (tmp_path / "in box").mkdir()
    (tmp_path / "file").write_text("")
    text = LISTEN + "".join(f'[[destination]]\nname = "{name}"\nfolder = "{folder}"\n' for name, folder in (
        ("A", "in box"), ("B", "gone"), ("C", "file"), ("D", "in box")))
    status, out, errors = check(f'{text}[discovery]\nadopt = true\ndirected = ["192.0.2.1"]\n')
    assert (status, errors) == (0, [])
    assert [line for line in out if "destination" in line][:2] == [
        'warning: g.toml:8: [[destination]] "B" folder: gone: No such file or directory',
        'warning: g.toml:11: [[destination]] "C" folder: file: must be a folder']
    assert [line.strip() for line in out if "ReadWritePaths" in line] == [
        "ReadWritePaths=file", "ReadWritePaths=gone", f'ReadWritePaths="{tmp_path}/in box"'.replace(f"{tmp_path}/", "")]


@pytest.mark.parametrize(("text", "message"), [
    (LISTEN + '[[scanner]]\nname = "a"\nscan = "http://192.0.2.9/"\ntimout = 1\n',
     "g.toml:6: [[scanner]] a timout: unknown key; did you mean timeout?"),
    (LISTEN + '[limit]\n', "g.toml:3: [limit]: unknown section; did you mean [limits]?"),
    (LISTEN + '\n[[listen]]\nadvertise = "http://192.0.2.5"\n', "g.toml:4: [[listen]] 2: endpoint is missing; "),
    (LISTEN + 'key = "x"\n', 'g.toml:3: [[listen]] 1 key = "x": must be left out'),
    (LISTEN + 'endpoint = 5\n', "g.toml:3: not valid TOML: Cannot overwrite a value"),
    (LISTEN + "[[scanner]]\nname = 'a'\n", "g.toml:3: [[scanner]] a has no address"),
    (LISTEN + "cache.max_age = 0\n", "g.toml:3: [[listen]] 1 cache: unknown key"),
    ('listen = [{endpoint = "tcp:5358"},\n {endpoint = "tcp:5358"}]\n',
     'g.toml:2: [[listen]] 2 endpoint = "tcp:5358": must be unique among the [[listen]] sections; it is also given in '
     "line 1")])
def test_a_mistake_names_its_line(check, text, message):
    status, out, [line] = check(text)
    assert (status, out) == (2, [])
    assert line.startswith(message), line


@pytest.mark.parametrize(("text", "message"), [
    (LISTEN + '[[listen]]\nendpoint = "tcp:port=5358:interface=0.0.0.0"\n',
     'g.toml:4: [[listen]] 2 endpoint = "tcp:port=5358:interface=0.0.0.0": must be unique: [[listen]] 1 has the same '
     "port and interface in line 2"),
    (LISTEN + '[admin]\nendpoint = "tcp:5358"\n',
     'g.toml:4: [admin] endpoint = "tcp:5358": must be unique: [[listen]] 1 has')])
def test_two_listeners_with_one_port_are_a_mistake(check, text, message):
    status, _, [line] = check(text)
    assert status == 2
    assert line.startswith(message), line


@pytest.mark.parametrize(("text", "warning"), [
    (LISTEN + '[[listen]]\nendpoint = "tcp:5358:interface=127.0.0.1"\n',
     "g.toml:4: [[listen]] 2 endpoint = tcp:5358:interface=127.0.0.1: [[listen]] 1 has the same port on every address"),
    ('[[listen]]\nendpoint = "tcp:8357"\n', "g.toml: [admin] endpoint = tcp:8357:interface=127.0.0.1: [[listen]] 1"),
    ('[[listen]]\nendpoint = "tcp:5358:interface=192.0.2.5"\n',
     "g.toml:2: [[listen]] 1 endpoint = tcp:5358:interface=192.0.2.5: this host does not have the address 192.0.2.5; "),
    ('[[listen]]\nendpoint = "tcp:5358:interface=2001\\\\:db8\\\\:\\\\:5"\n',
     "g.toml:2: [[listen]] 1 endpoint = tcp:5358:interface=2001\\:db8\\:\\:5: this host does not have the address "
     "2001:db8::5; "),
    (LISTEN + '[discovery]\nclient_interfaces = ["lo", "no0"]\n',
     "g.toml:4: [discovery] client_interfaces: this host has no interface no0 with an address; it has lo"),
    (LISTEN + '[[scanner]]\nname = "a"\nscan = "http://192.0.2.9/x"\n[[scanner]]\nname = "b"\n'
     'device = "http://192.0.2.9:80/x/"\n',
     "g.toml:8: [[scanner]] b device = http://192.0.2.9:80/x/: [[scanner]] a has the same address"),
    (LISTEN + '[exchange_log]\npath = "a/b/c.jsonl"\n',
     "g.toml:4: [exchange_log] path = a/b/c.jsonl: the folder a/b does not exist; it will be created"),
    (LISTEN + '[exchange_log]\ncapture = "g.toml"\n',
     "g.toml:4: [exchange_log] capture = g.toml: must be a folder, but g.toml is a file"),
    (LISTEN + '[exchange_log]\npath = "."\n', "g.toml:4: [exchange_log] path = .: must be a file, but "),
    (LISTEN + '[exchange_log]\npath = "/proc/self/status/x"\n',
     "g.toml:4: [exchange_log] path = /proc/self/status/x: /proc/self/status is not writable")])
def test_a_warning_names_its_line_and_is_no_mistake(check, text, warning):
    status, [line, summary], errors = check(text)
    assert (status, errors) == (0, [])
    assert line.startswith(f"warning: {warning}"), line
    assert summary.endswith("no mistakes, 1 warning(s)")


def test_ports_that_are_chosen_at_the_start_are_no_conflict(check):
    status, out, errors = check('[[listen]]\nendpoint = "tcp:0"\n[admin]\nendpoint = "tcp:0:interface=127.0.0.1"\n')
    assert (status, errors) == (0, [])
    assert out == ["g.toml: 0 scanner(s), 1 listener(s), no mistakes"]


def test_without_a_file_the_gateways_own_is_checked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reading, "CANDIDATES", ("gateway.toml", str(tmp_path / "etc.toml")))
    assert main(["check"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "./gateway.toml" in line and str(tmp_path / "etc.toml") in line and "--demo" in line
    (tmp_path / "etc.toml").write_text(LISTEN)
    assert main(["check"]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'etc.toml'}: ")
    (tmp_path / "gateway.toml").write_text(LISTEN)
    assert main(["check"]) == 0
    assert capsys.readouterr().out.startswith("gateway.toml: ")


def test_check_reports_an_expired_certificate(check, tmp_path):
    Certified(tmp_path, "old", "127.0.0.1", days=-1)
    status, [warning, _], _ = check(LISTEN + 'certificate = "old.pem"\nkey = "old.key"\n')
    assert status == 0
    assert warning.startswith("warning: g.toml:3: tcp:5358: the certificate in old.pem expired at ")


def test_check_reports_a_store_with_which_the_gateway_does_not_start(tmp_path, capsys):
    file, store = tmp_path / "g.toml", tmp_path / "gone" / "gateway.sqlite"
    file.write_text(f'[gateway]\nstate = "sqlite:{store}"\n{LISTEN}')
    assert main(["check", str(file)]) == 2
    checked = capsys.readouterr()
    assert checked.out == ""
    assert checked.err == (f"{file}:2: [gateway] state: {store}: the store cannot be used: the folder {store.parent} "
                           "does not exist; create it, or give another file\n")
    options = Options()
    options.parseOptions(["--config", str(file)])
    with pytest.raises(SystemExit) as ended:
        makeService(options)
    assert f"{ended.value}\n" == checked.err


def test_check_warns_of_a_store_without_which_the_gateway_starts(check, tmp_path):
    (tmp_path / "gateway.sqlite").write_bytes(b"no database" * 100)
    status, [warning, summary], _ = check(LISTEN)
    assert status == 0
    assert warning.startswith("warning: g.toml: [gateway] state: gateway.sqlite: the store is damaged")
    assert summary.endswith("no mistakes, 1 warning(s)")


def test_check_names_the_forms_of_a_state(check):
    status, _, [line] = check(f'[gateway]\nstate = "postgres://h/0"\n{LISTEN}')
    assert status == 2
    assert line == ('g.toml:2: [gateway] state = "postgres://h/0": must be sqlite:FILE, memory:, or for several '
                    'gateways redis://HOST:6379/0')


def test_warnings_are_in_the_order_of_the_file(check):
    _, out, _ = check('[[listen]]\nendpoint = "tcp:5358:interface=192.0.2.99"\n[discovery]\n'
                      'device_interfaces = ["no-such-0"]\n[[scanner]]\nname = "a"\nscan = "http://192.0.2.9/"\n'
                      '[[scanner]]\nname = "b"\nscan = "http://192.0.2.9/"\n')
    lines = [int(line.split(":")[2]) for line in out if line.startswith("warning: g.toml:")]
    assert lines == sorted(lines) and {2, 4, 10} <= set(lines)


def test_check_reports_an_escl_spool_and_a_port_that_cannot_be_used(check, tmp_path):
    spool = tmp_path / "spool"
    text = LISTEN + "[escl]\nannounce = false\n[[scanner]]\nname = 'a'\nscan = 'http://192.0.2.9/'\n"
    assert not [line for line in check(text)[1] if "escl" in line]
    spool.mkdir()
    (spool / "letter.odt").write_text("x")
    [line] = [line for line in check(text)[1] if "escl" in line]
    assert "[escl] spool: spool: the spool must be a folder of its own, but it contains 'letter.odt'" in line
    (spool / "letter.odt").unlink()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        [line] = [line for line in check(f"{text}escl_port = {port}\n")[1] if "escl_port" in line]
    assert line.startswith(f"warning: g.toml:8: [[scanner]] a escl_port = {port}: the port is in use at the moment")


@pytest_twisted.ensureDeferred
async def test_check_reports_a_port_of_the_escl_range_that_is_in_use(check, tmp_path):
    """That of a new scanner in any case, one from the store unless the gateway that runs has it open."""
    from twisted.internet import reactor

    port = free_port()
    while (following := free_port()) != port + 1:
        port = following
    scanner = "[[scanner]]\nname = '{}'\nscan = 'http://192.0.2.{}/'\n".format
    with socket.create_server(("127.0.0.1", port)):
        text = LISTEN + f"[escl]\nannounce = false\nports = '{port}-{port + 1}'\n" + scanner("a", 1)

        def ports(text):
            return [line for line in check(text)[1] if "[escl] ports" in line]

        [line] = ports(text)
        assert line == (
            f"warning: g.toml:5: [escl] ports = {port}-{port + 1}: port {port}, which is that of a, is in use at the "
            "moment; end the program that uses it, or give a range without it, since the gateway uses no other instead")
        assert ports(text + "[gateway]\nstate = 'memory:'\n") == [line]
        assert ports(text + "escl = false\n") == ports(text + "bridge = false\n") == []
        assert ports(text + f"escl_port = {port + 1}\n") == []
        store = SqliteStore(reactor, tmp_path / "gateway.sqlite", 1)
        await store.keep_escl_port("b", port)
        await store.close()
        assert ports(text) == []
        text += scanner("b", 2)
        assert [one.replace("of b,", "of a,") for one in ports(text)] == [line]
        spool = Spool(tmp_path / "spool")
        spool.open()
        assert ports(text) == []
        spool.close()
        assert len(ports(text)) == 1


def test_check_reports_uploads_and_commands_that_cannot_work(check, tmp_path):
    program, folder = tmp_path / "after", tmp_path / "uploads"
    text = (f"{LISTEN}[[scanner]]\nname = 'a'\nscan = 'http://192.0.2.9/'\n[[destination]]\nname = 'Mail'\n"
            f"folder = '.'\nupload = 'https://192.0.2.8/'\ncommand = ['{program}']\n")
    [line] = [line for line in check(text)[1] if "must be" in line]
    assert line == ('warning: g.toml:10: [[destination]] "Mail" command: after must be a file that the user who runs '
                    "this check can execute")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert not [line for line in check(text)[1] if "must be" in line]
    folder.mkdir()
    (folder / "letter.odt").write_text("x")
    [line] = [line for line in check(text)[1] if "must be" in line]
    assert line.startswith("warning: g.toml: [uploads] folder: uploads: the upload queue must be a folder of its own, ")
    assert "'letter.odt'" in line
