"""Scans from the panel to an upload server: an outage, and a gateway that is killed while it sends."""

import json
import re
import signal
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.site import Site
from tests.paperless import PATH, TASK, TOKEN, read_form
from tests.ports import free_port

PAGES = 200  # more than are scanned before the gateway is killed


class Server(ThreadingHTTPServer):
    """Accepts documents as Paperless-ngx does; with `holds`, it reads a document and never answers."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port, *, holds=False):
        super().__init__(("127.0.0.1", port), Handler)
        self.holds = holds
        self.held = threading.Event()
        self.documents = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == PATH and self.headers["Authorization"] == TOKEN
        if self.server.holds:
            self.server.held.set()
            self.rfile.read(1)  # until the client is gone
            return
        message, data, _ = read_form(self.headers["Content-Type"], body)
        self.server.documents.append((message.get_filename(), data))
        answer = json.dumps(TASK).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def upload_server():
    servers = []

    def start(port, **more):
        servers.append(Server(port, **more))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_presses_during_an_outage_and_a_kill_during_an_upload(twistd, tmp_path, upload_server, until):
    scanner, port, admin, server_port = (free_port() for _ in range(4))
    (tmp_path / "scanner.toml").write_text(
        f'[scanner]\nendpoint = "tcp:{scanner}:interface=127.0.0.1"\nfeeder_pages = 10\npage_seconds = 0.02\n')
    (tmp_path / "token").write_text(f"Authorization: {TOKEN}\n")
    (tmp_path / "token").chmod(0o600)
    scans, uploads, after = (tmp_path / name for name in ("scans", "uploads", "after"))
    scans.mkdir()
    (tmp_path / "after-scan").write_text(f'#!/bin/sh\necho "$@" >> {after}\necho done "$2"\n')
    (tmp_path / "after-scan").chmod(0o755)
    (tmp_path / "gateway.toml").write_text(f"""
[[listen]]
endpoint = "tcp:{port}:interface=127.0.0.1"
[admin]
endpoint = "tcp:{admin}:interface=127.0.0.1"
[[scanner]]
name = "front-desk"
scan = "http://127.0.0.1:{scanner}/scan"
[[destination]]
name = "Paperless"
folder = "scans"
source = "adf"
upload = "http://127.0.0.1:{server_port}{PATH}"
upload_header_file = "token"
command = ["{tmp_path}/after-scan", "{{path}}", "{{pages}}"]
""")
    twistd(scanner, "wsdscanner", "--config", "scanner.toml")
    gateway = twistd(port, "wsdgateway", "--config", "gateway.toml", admin=admin)

    def press():
        with urllib.request.urlopen(f"http://127.0.0.1:{scanner}/control/press?", b"", 10) as answer:
            return json.load(answer)["result"]

    def metric(outcome):
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(
            f'wsdgateway_destination_files_total{{destination="Paperless",outcome="{outcome}"}}'))

    def shown():
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/api/destinations", timeout=10) as answer:
            return {one["name"]: one["uploads_waiting"] for one in json.load(answer)}

    def files():
        return sorted(one.name for one in scans.iterdir() if not one.name.startswith("."))

    def waiting():
        return len(list(uploads.glob("*.json")))

    until(press)
    for number in (1, 2, 3):
        until(lambda number=number: len(files()) == number)
        if number < 3:
            assert press() == 1
    until(lambda: waiting() == 3)
    until(lambda: shown() == {"Paperless": 3})  # once they are synced
    until(lambda: after.exists() and len(after.read_text().splitlines()) == 3)
    server = upload_server(server_port, holds=True)
    assert server.held.wait(60)
    gateway.send_signal(signal.SIGKILL)
    gateway.wait(60)
    assert waiting() == 3 and list((uploads / "failed").iterdir()) == []
    server.holds = False
    twistd(port, "wsdgateway", "--config", "gateway.toml", admin=admin)
    until(lambda: waiting() == 0)
    assert sorted(name for name, _ in server.documents) == files()
    assert dict(server.documents) == {name: (scans / name).read_bytes() for name in files()}
    assert list(uploads.glob("*.file")) == list((uploads / "failed").iterdir()) == []
    assert sorted(after.read_text().splitlines()) == [f"{scans / name} 10" for name in files()]
    assert metric("failed") == 0
    log = "".join(one.read_text() for one in tmp_path.glob("*.log"))
    assert "Paperless: command (stdout): done 10" in log
    assert TOKEN.split()[1] not in log and "HTTP11ClientFactory" not in log


def test_a_kill_between_the_pages_of_a_scan_that_is_only_uploaded(twistd, tmp_path, upload_server, until):
    (tmp_path / "token").write_text(f"Authorization: {TOKEN}\n")
    (tmp_path / "token").chmod(0o600)
    server_port = free_port()
    server = upload_server(server_port)
    site = Site(twistd, tmp_path, f"""
[[destination]]
name = "Paperless"
upload = "http://127.0.0.1:{server_port}{PATH}"
upload_header_file = "token"
source = "adf"
""", job_timeout=60.0)
    incoming = tmp_path / "uploads" / "incoming"
    until(lambda: site.control()["subscriptions"] == 2)
    site.control(f"feeder?pages={PAGES}", "POST")
    assert site.control("press", "POST")["result"] == 1
    until(lambda: len(list(incoming.glob("*/.*.page.part"))) >= 3)
    site.end(signal.SIGKILL)
    site.start()
    until(lambda: server.documents)
    [(name, data)] = server.documents
    assert name.startswith("front-desk-") and name.endswith("-1.pdf")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", data)) < PAGES
    until(lambda: list(incoming.glob("*/*")) == [] and list((tmp_path / "uploads").glob("*.file")) == [])
    site.control("feeder?pages=2", "POST")
    assert site.control("press", "POST")["result"] == 1
    until(lambda: len(server.documents) == 2)
