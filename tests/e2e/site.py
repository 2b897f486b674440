"""A virtual scanner and a gateway as processes, an event sink, and requests of clients."""

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.messages import create_scan_job, job_request, subscribe
from tests.ports import free_port
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSCN, WSE

PATH = "/front-desk/scan"
PANEL = {"events": ["ScanAvailableEvent"], "destinations": [("ctx", "Scan to me")]}
W, S = f"{{{WSE}}}", f"{{{WSCN}}}"


def post(port, path, message):
    """Returns status and body; raises `OSError` without a complete answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, message, {"Content-Type": "application/soap+xml"})
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


class Listener:
    """Event sink in a thread: `received` holds the events by path."""

    def __init__(self):
        received = self.received = {}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.setdefault(self.path, []).append(read(body))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                """Suppresses the log of requests."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def identifiers(self, path):
        """Returns the ScanIdentifier of every ScanAvailableEvent received at a path."""
        return [one.body.findtext(f"{S}ScanIdentifier") for one in self.received.get(path, ())
                if one.action.endswith("/ScanAvailableEvent")]


class Site:
    """A virtual scanner, and a gateway that can be ended and started again.

    The scanner aborts a job that nobody goes on with for `job_timeout` seconds. A short one frees it soon after a kill;
    a client then needs another job if it was too slow.
    """

    def __init__(self, twistd, folder, more="", *, job_timeout=1.0):
        self.twistd = twistd
        self.scanner, self.port, self.admin = free_port(), free_port(), free_port()
        (folder / "scanner.toml").write_text(
            f'[scanner]\nendpoint = "tcp:{self.scanner}:interface=127.0.0.1"\nstamp = "the same"\npage_seconds = 0.2\n'
            f"job_timeout = {job_timeout}\n")
        (folder / "gateway.toml").write_text(
            f'[[listen]]\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\n'
            f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{self.scanner}/WDP/SCAN"\n'
            f'[admin]\nendpoint = "tcp:{self.admin}:interface=127.0.0.1"\n{more}')
        self.device = twistd(self.scanner, "wsdscanner", "--config", "scanner.toml")
        self.start()

    def start(self):
        self.process = self.twistd(self.port, "wsdgateway", "--config", "gateway.toml", admin=self.admin)

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(60)

    def ask(self, message, path=PATH):
        return post(self.port, path, message)

    def control(self, deed="", method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.scanner, timeout=30)
        connection.request(method, f"/control/{deed}")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def subscribe(self, url, **more):
        """Subscribes, and returns the SubscribeResponse and its identifier."""
        status, body = self.ask(subscribe(url, **more))
        message = read(body)
        assert status == 200, fault_of(message)
        return message, message.body.findtext(f".//{W}Identifier")

    def api(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=30)
        connection.request("GET", f"/api/{name}")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer


def scan_job(identifier, token):
    return create_scan_job(f"urn:uuid:{identifier}").replace(b"<wscn:ScanTicket>", (
        f"<wscn:ScanIdentifier>{identifier}</wscn:ScanIdentifier><wscn:DestinationToken>{token}"
        "</wscn:DestinationToken><wscn:ScanTicket>").encode())


def push_scan(site, identifier, token):
    """Fetches a scan after a button press, and returns the image's bytes."""
    status, body = site.ask(scan_job(identifier, token))
    if status != 200:
        return None
    job = read_created(read(body).body)
    status, body = site.ask(job_request("RetrieveImage", job.job_id).replace(
        b"</wscn:JobId>", f"</wscn:JobId><wscn:JobToken>{job.job_token}</wscn:JobToken>".encode()))
    return body if status == 200 else None


def press(site, listener, until, path):
    """Presses the button, and returns the ScanIdentifier that the client receives."""
    before = len(listener.identifiers(path))
    assert site.control("press", "POST")["result"] == 1
    until(lambda: len(listener.identifiers(path)) > before)
    return listener.identifiers(path)[-1]


def check_a_scan(site, listener, until, token):
    """Checks a whole scan from the panel; an aborted job may keep the scanner busy for a second."""
    def scan():
        return push_scan(site, press(site, listener, until, "/panel"), token)

    assert b"\xff\xd8\xff" in until(scan)
