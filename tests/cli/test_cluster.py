"""Tests of cli.cluster: the subcommand `wsdgateway cluster move`, with a fake admin site."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from wsdgateway.cli.adminclient import TOKEN_VARIABLE
from wsdgateway.cli.main import main


@pytest.fixture
def site():
    """An admin site that gives the answer `answer` to each POST, and keeps the requests."""
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.requests.append((self.path, self.headers["Authorization"], json.loads(body)))
            status, text = server.answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments):
            """Logs nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.requests, server.url = [], f"127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    server.server_close()


def test_the_new_owner_is_printed(site, monkeypatch, capsys):
    monkeypatch.setenv(TOKEN_VARIABLE, "s3cret")
    site.answer = 200, "print-server-2 owns front-desk now.\n"
    assert main(["cluster", "move", "front-desk", "print-server-2", site.url]) == 0
    assert capsys.readouterr().out == "print-server-2 owns front-desk now.\n"
    assert site.requests == [("/api/cluster/move", "Bearer s3cret", {
        "scanner": "front-desk", "gateway": "print-server-2"})]


@pytest.mark.parametrize("status", [409, 422, 503, 504])
def test_the_reason_of_the_gateway_is_printed(site, capsys, status):
    site.answer = status, 'No scanner has the name "x"; the scanners are a, b\x1b.\n'
    assert main(["cluster", "move", "x", "print-server-2", site.url]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "", 'wsdgateway cluster: No scanner has the name "x"; the scanners are a, b\N{REPLACEMENT CHARACTER}.\n')


@pytest.mark.parametrize(("status", "said"), [
    (401, "a token is required; set WSDGATEWAY_TOKEN"), (404, "404 Not Found; is the gateway running?")])
def test_a_refusal_names_the_cure(site, monkeypatch, capsys, status, said):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    site.answer = status, "no"
    assert main(["cluster", "move", "x", "y", site.url]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("wsdgateway cluster") and said in line


@pytest.mark.parametrize("arguments", [[], ["move"], ["move", "front-desk"], ["more", "a", "b"]])
def test_missing_names_are_told_in_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["cluster", *arguments])
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("wsdgateway cluster")
