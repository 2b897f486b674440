"""Tests of cli.check: the subcommand `wsdgateway check`."""

from tests.certificates import Certified
from tests.config.configurations import SAMPLE
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
    assert f"tcp:5358: the certificate in {tmp_path / 'old.pem'} expired at " in capsys.readouterr().out


def test_check_names_the_stores_that_can_replace_redis(tmp_path, capsys):
    file = tmp_path / "g.toml"
    file.write_text('[gateway]\nstate = "redis://h:6379/0"\n[[listen]]\nendpoint = "tcp:5358"\n')
    assert main(["check", str(file)]) == 2
    assert capsys.readouterr().err == (
        f'{file}: [gateway] state = "redis://h:6379/0": must be sqlite:FILE or memory:; Redis is not supported yet\n')
