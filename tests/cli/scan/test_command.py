"""Tests of cli.scan.command: the options and exit statuses of `wsdgateway scan`."""

import pytest

from wsdgateway.cli.main import main
from wsdgateway.cli.scan import command
from wsdgateway.cli.scan.outcomes import BUSY, MEANINGS, ScanError


@pytest.mark.parametrize(("arguments", "said"), [
    (["scan"], "URL"), (["scan", "http://h/x", "--source", "film"], "invalid choice"),
    (["scan", "http://h/x", "--resolution", "0"], "number of dots per inch"),
    (["scan", "http://h/x", "--wait", "-1"], "must be a number of seconds between 0 and 3600"),
    (["scan", "http://h/x", "--wait", "nan"], "number of seconds"),
    (["scan", "http://h/x", "--color", "pink"], "invalid choice"),
    (["scan", "http://h/x", "--format", "xps"], "invalid choice"),
    (["scan", "http://h/x", "--timeout", "0"], "must be a number of seconds between 0.1 and 86400"),
    (["scan", "http://h/x", "--size", "a5"], "must be a4, letter or WIDTHxHEIGHTmm")])
def test_a_wrong_option_ends_with_status_2_and_a_line(capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize("url", ["ftp://h/x", "http://", "http://h:0/", "http://h:99999/", "http://[/", "h:x", "",
                                 "http://h/\x1b[2J", "http://h/ä", "http://h/a b"])
def test_a_wrong_url_ends_with_status_2_and_a_line(capsys, url):
    assert main(["scan", url]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "must be the http:// or https:// URL" in line
    assert line.isprintable()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "https://127.0.0.1:1/x"])
@pytest.mark.parametrize("option", [[], ["--list"]])
def test_an_unusable_file_of_an_authority_ends_with_status_2_before_any_request(tmp_path, capsys, url, option):
    (tmp_path / "text").write_text("text")
    for name, said in (("none", "cannot be read"), ("text", "is not a file with certificates in PEM")):
        assert main(["scan", url, *option, "--wait", "0", "--ca", str(tmp_path / name)]) == 2
        assert capsys.readouterr().err == f"wsdgateway scan: --ca {tmp_path / name}: {said}\n"


@pytest.mark.parametrize(("error", "status"), [(ScanError("x\x1b", BUSY), BUSY), (KeyboardInterrupt(), 130), (None, 0)])
def test_the_exit_status_is_that_of_the_scan(monkeypatch, capsys, error, status):
    def scan(order, progress):
        assert (order.url, order.output, order.source, order.wait) == ("http://h/x", None, "duplex", 7)
        if error is not None:
            raise error

    monkeypatch.setattr(command, "scan", scan)
    assert main(["scan", "http://h/x", "--source", "duplex", "--wait", "7"]) == status
    assert "\x1b" not in capsys.readouterr().err


def test_a_list_goes_to_stdout_and_scans_nothing(monkeypatch, capsys):
    monkeypatch.setattr(command, "offers", lambda order, progress: [order.url, f"{order.timeout:g}"])
    assert main(["scan", "h", "--list", "--timeout", "9"]) == 0
    assert capsys.readouterr() == ("h\n9\n", "")


def test_with_the_standard_output_as_target_names_of_files_go_to_stderr(monkeypatch, capsys):
    def scan(order, progress, out):
        out.write(b"%PDF")
        progress.appeared("scan.jpg")

    monkeypatch.setattr(command, "scan", scan)
    assert main(["scan", "h", "-o", "-"]) == 0
    assert capsys.readouterr() == ("%PDF", "scan.jpg\n")


def test_a_terminal_gets_no_image(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["scan", "h", "-o", "-"]) == 2
    assert "must go to a file or a pipe" in capsys.readouterr().err


def test_every_exit_status_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["scan", "--help"])
    text = capsys.readouterr().out
    assert all(f"  {status:<4} {meaning}" in text for status, meaning in MEANINGS.items())
    assert "%d or %03d" in text
