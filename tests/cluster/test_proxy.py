"""The recording proxy: it passes bytes on, and records exchanges and connections."""

import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.cluster.lab import until
from tests.cluster.proxy import RecordingProxy


@pytest.fixture
def server():
    """A server that answers each POST with its body, once `may_answer` is set."""
    class Echo(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.asked.set()
            self.server.may_answer.wait(30)
            self.send_response(202)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            """Suppresses the log of requests."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    made.asked, made.may_answer = threading.Event(), threading.Event()
    made.may_answer.set()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.may_answer.set()
    made.shutdown()
    made.server_close()


@pytest.fixture
def recorded():
    return {"exchanges": [], "connections": []}


@pytest.fixture
def proxy(server, recorded):
    made = RecordingProxy(
        lambda: ("server", server.server_address[1]), recorded["exchanges"].append,
        on_connection=lambda *connection: recorded["connections"].append(connection), who=lambda port: "client")
    yield made
    made.stop()


def test_exchanges_and_connections_are_recorded(proxy, recorded):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
    for body in (b"one", b"two"):
        connection.request("POST", "/", body)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (202, body)
    [(opened_first, name)] = proxy.open_connections
    assert name == "client"
    connection.close()
    until(lambda: recorded["connections"])
    assert [(one.here, one.there, one.request, one.status, one.answer) for one in recorded["exchanges"]] == [
        ("client", "server", body, 202, body) for body in (b"one", b"two")]
    first, second = recorded["exchanges"]
    [(opened, closed, name)] = recorded["connections"]
    assert opened == opened_first <= first.begin <= first.end <= second.begin <= second.end <= closed
    assert name == "client"
    assert proxy.open_connections == []


def test_an_answer_that_nobody_waits_for_is_recorded_without_an_end(proxy, server, recorded):
    server.may_answer.clear()
    client = socket.create_connection(("127.0.0.1", proxy.port))
    client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nlate")
    assert server.asked.wait(30)
    client.close()
    until(lambda: recorded["connections"])
    server.may_answer.set()
    until(lambda: recorded["exchanges"])
    [late] = recorded["exchanges"]
    assert (late.end, late.status, late.answer) == (None, 202, b"late")


def test_without_a_target_connections_are_closed(recorded):
    proxy = RecordingProxy(lambda: None, recorded["exchanges"].append)
    try:
        with socket.create_connection(("127.0.0.1", proxy.port), 30) as client:
            assert client.recv(1) == b""
    finally:
        proxy.stop()
    assert recorded["exchanges"] == []
