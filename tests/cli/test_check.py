"""Tests of cli.check: the subcommand `wsdgateway check`."""

import pytest

from tests.certificates import Certified
from tests.config.configurations import SAMPLE
from wsdgateway.app.tap import Options, makeService
from wsdgateway.cli.main import main


def test_check_reads_a_file_and_prints_its_errors(tmp_path, capsys):
    assert main(["check", str(SAMPLE)]) == 0
    assert "1 scanner(s), 2 listener(s)" in capsys.readouterr().out
    file = tmp_path / "g.toml"
    file.write_text("[cache]\nmax_age = 0\n")
    assert main(["check", str(file)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith(f"{file}: ") for line in errors)


def test_check_reports_an_expired_certificate(tmp_path, capsys):
    Certified(tmp_path, "old", "127.0.0.1", days=-1)
    file = tmp_path / "g.toml"
    file.write_text('[[listen]]\nendpoint = "tcp:5358"\ncertificate = "old.pem"\nkey = "old.key"\n')
    assert main(["check", str(file)]) == 0
    assert f"warning: tcp:5358: the certificate in {tmp_path / 'old.pem'} expired at " in capsys.readouterr().out


def test_check_reports_a_store_with_which_the_gateway_does_not_start(tmp_path, capsys):
    file, store = tmp_path / "g.toml", tmp_path / "gone" / "gateway.sqlite"
    file.write_text(f'[gateway]\nstate = "sqlite:{store}"\n[[listen]]\nendpoint = "tcp:5358"\n')
    assert main(["check", str(file)]) == 2
    checked = capsys.readouterr()
    assert checked.out == ""
    assert checked.err == (f"{file}: [gateway] state: {store}: the store cannot be used: the folder {store.parent} "
                           "does not exist; create it, or give another file\n")
    options = Options()
    options.parseOptions(["--config", str(file)])
    with pytest.raises(SystemExit) as ended:
        makeService(options)
    assert f"{ended.value}\n" == checked.err


def test_check_warns_of_a_store_without_which_the_gateway_starts(tmp_path, capsys):
    file = tmp_path / "g.toml"
    (tmp_path / "gateway.sqlite").write_bytes(b"no database" * 100)
    file.write_text('[[listen]]\nendpoint = "tcp:5358"\n')
    assert main(["check", str(file)]) == 0
    warning, summary = capsys.readouterr().out.splitlines()
    assert warning.startswith(f"warning: [gateway] state: {tmp_path / 'gateway.sqlite'}: the store is damaged")
    assert summary.endswith("no mistakes")


def test_check_names_the_stores_that_can_replace_redis(tmp_path, capsys):
    file = tmp_path / "g.toml"
    file.write_text('[gateway]\nstate = "redis://h:6379/0"\n[[listen]]\nendpoint = "tcp:5358"\n')
    assert main(["check", str(file)]) == 2
    assert capsys.readouterr().err == (
        f'{file}: [gateway] state = "redis://h:6379/0": must be sqlite:FILE or memory:; Redis is not supported yet\n')
