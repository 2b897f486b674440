"""Requests to the admin site of a running gateway: the messages for its refusals."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from wsdgateway.cli.adminclient import TOKEN_VARIABLE, AdminError, fetch_list


@pytest.fixture
def url():
    """The address of a site that refuses every token."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.end_headers()

        def log_message(self, *arguments):
            """Log nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("token", "message"), [
    (None, "a token is required; set WSDGATEWAY_TOKEN"), ("wrong", "the token in WSDGATEWAY_TOKEN is wrong")])
def test_a_missing_token_and_a_wrong_one_are_told_apart(url, monkeypatch, token, message):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    if token is not None:
        monkeypatch.setenv(TOKEN_VARIABLE, token)
    with pytest.raises(AdminError, match=message):
        fetch_list(url, "scanners")


def test_a_proxy_of_the_environment_gets_no_token(url, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "secret")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(AdminError, match="the token in WSDGATEWAY_TOKEN is wrong"):  # the site has answered
        fetch_list(url, "scanners")
