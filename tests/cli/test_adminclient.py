"""Requests to the admin site of a running gateway: the messages for its refusals."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.certificates import Certified
from wsdgateway.cli.adminclient import TOKEN_VARIABLE, AdminError, AdminSite
from wsdgateway.cli.tlsproblems import why_no_tls


class Handler(BaseHTTPRequestHandler):
    """Answers with an empty list, and refuses every token."""

    def do_GET(self):
        self.send_response(401 if self.path.startswith("/guarded") else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *arguments):
        """Log nothing."""


@pytest.fixture
def serve():
    """Starts a server, with TLS if a certificate is given; returns its host and port."""
    servers = []

    def run(certified=None):
        server = HTTPServer(("127.0.0.1", 0), Handler)
        if certified is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certified.pem, certified.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"127.0.0.1:{server.server_address[1]}"

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def url(serve):
    """The address of a site that refuses every token."""
    return f"http://{serve()}/guarded"


@pytest.mark.parametrize(("token", "message"), [
    (None, "a token is required; set WSDGATEWAY_TOKEN"), ("wrong", "the token in WSDGATEWAY_TOKEN is wrong")])
def test_a_missing_token_and_a_wrong_one_are_told_apart(url, monkeypatch, token, message):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    if token is not None:
        monkeypatch.setenv(TOKEN_VARIABLE, token)
    with pytest.raises(AdminError, match=message):
        AdminSite.at(url).fetch("scanners")


def test_a_proxy_of_the_environment_gets_no_token(url, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "secret")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(AdminError, match="the token in WSDGATEWAY_TOKEN is wrong"):  # the site has answered
        AdminSite.at(url).fetch("scanners")


def test_the_scheme_may_be_left_out(serve):
    assert AdminSite.at(serve()).fetch("scanners") == []


def test_an_authority_in_a_file_is_trusted(serve, tmp_path):
    certified = Certified(tmp_path, "site", "127.0.0.1")
    place = serve(certified)
    assert AdminSite.at(f"https://{place}/", str(certified.pem)).fetch("jobs") == []
    assert AdminSite.at(place, str(certified.pem)).fetch("jobs") == []
    with pytest.raises(AdminError, match="with --ca FILE, or in SSL_CERT_FILE"):
        AdminSite.at(f"https://{place}").fetch("jobs")


@pytest.mark.parametrize(("host", "days", "message"), [
    ("192.0.2.5", 30, "the certificate is not valid for 127.0.0.1; use an address that its subjectAltName contains"),
    ("127.0.0.1", -1, "the certificate cannot be verified: certificate has expired; renew it, or correct the clock")])
def test_a_certificate_that_no_authority_helps_gets_other_advice(serve, tmp_path, host, days, message):
    certified = Certified(tmp_path, "site", host, days=days)
    with pytest.raises(AdminError) as caught:
        AdminSite.at(f"https://{serve(certified)}", str(certified.pem)).fetch("jobs")
    assert str(caught.value).partition("/api/jobs: ")[2] == message


def test_http_and_https_are_told_apart(serve, tmp_path):
    certified = Certified(tmp_path, "site", "127.0.0.1")
    with pytest.raises(AdminError, match=r"no TLS connection \(WRONG_VERSION_NUMBER\); if it does not use"):
        AdminSite.at(f"https://{serve()}").fetch("jobs")
    with pytest.raises(AdminError, match="without an answer; if it uses TLS, write https:// instead of http://"):
        AdminSite.at(f"http://{serve(certified)}").fetch("jobs")


def test_a_site_that_asks_for_a_certificate_is_named():
    error = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2580)")
    assert why_no_tls(error).startswith("it requires a certificate from its clients (client_ca)")


@pytest.mark.parametrize(("url", "content", "message"), [
    ("https://127.0.0.1:1", None, "cannot be read"), ("https://127.0.0.1:1", "text", "not a file with certificates"),
    ("http://127.0.0.1:1", "text", "no https URL")])
def test_an_authority_that_cannot_be_used_is_an_error(tmp_path, url, content, message):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(AdminError, match=message):
        AdminSite.at(url, str(file))
