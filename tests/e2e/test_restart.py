"""The process is killed, or stopped, and started again: clients notice nothing but a refused connection."""

import http.client
import json
import random
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.conftest import free_port
from tests.messages import create_scan_job, get_job_elements, job_request, manage, subscribe
from wsdgateway.scan.destinations import read_tokens
from wsdgateway.scan.jobelements import read_response
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSCN, WSE

KILLS = 20
PATH = "/front-desk/scan"
W, S = f"{{{WSE}}}", f"{{{WSCN}}}"


def post(port, path, message):
    """Status and body; an `OSError` where nobody answers to the end."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, message, {"Content-Type": "application/soap+xml"})
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


class Listener:
    """An event sink in a thread: what it was told, by path."""

    def __init__(self):
        told = self.told = {}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.setdefault(self.path, []).append(read(body))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def identifiers(self, path):
        """The ScanIdentifier of every ScanAvailableEvent told there."""
        return [one.body.findtext(f"{S}ScanIdentifier") for one in self.told.get(path, ())
                if one.action.endswith("/ScanAvailableEvent")]


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Site:
    """A virtual scanner and a gateway that can be ended and started again."""

    def __init__(self, twistd, folder, more=""):
        self.twistd = twistd
        self.scanner, self.port, self.admin = free_port(), free_port(), free_port()
        (folder / "scanner.toml").write_text(
            f'[scanner]\nendpoint = "tcp:{self.scanner}:interface=127.0.0.1"\nstamp = "the same"\npage_seconds = 0.2\n'
            "job_timeout = 1.0\n")
        (folder / "gateway.toml").write_text(
            f'[[listen]]\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\n'
            f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{self.scanner}/WDP/SCAN"\n'
            f'[admin]\nendpoint = "tcp:{self.admin}:interface=127.0.0.1"\n{more}')
        self.device = twistd(self.scanner, "wsdscanner", "--config", "scanner.toml")
        self.start()

    def start(self):
        self.process = self.twistd(self.port, "wsdgateway", "--config", "gateway.toml")

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(20)

    def ask(self, message, path=PATH):
        return post(self.port, path, message)

    def control(self, deed="", method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.scanner, timeout=10)
        connection.request(method, f"/control/{deed}")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def subscribe(self, url, **more):
        """The SubscribeResponse and its identifier."""
        status, body = self.ask(subscribe(url, **more))
        message = read(body)
        assert status == 200, fault_of(message)
        return message, message.body.findtext(f".//{W}Identifier")

    def api(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10)
        connection.request("GET", f"/api/{name}")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer


@pytest.fixture
def site(twistd, tmp_path, until):
    made = Site(twistd, tmp_path)
    until(lambda: made.control()["subscriptions"] == 1)
    return made


def scan_job(identifier, token):
    return create_scan_job(f"urn:uuid:{identifier}").replace(b"<wscn:ScanTicket>", (
        f"<wscn:ScanIdentifier>{identifier}</wscn:ScanIdentifier><wscn:DestinationToken>{token}"
        "</wscn:DestinationToken><wscn:ScanTicket>").encode())


def push_scan(site, identifier, token):
    """What a client does after the button; the image's bytes."""
    status, body = site.ask(scan_job(identifier, token))
    if status != 200:
        return None
    job = read_created(read(body).body)
    status, body = site.ask(job_request("RetrieveImage", job.job_id).replace(
        b"</wscn:JobId>", f"</wscn:JobId><wscn:JobToken>{job.job_token}</wscn:JobToken>".encode()))
    return body if status == 200 else None


def press(site, listener, until, path):
    """Somebody presses the button; the ScanIdentifier that the client is told."""
    before = len(listener.identifiers(path))
    assert site.control("press", "POST")["result"] == 1
    until(lambda: len(listener.identifiers(path)) > before)
    return listener.identifiers(path)[-1]


def a_scan_works(site, listener, until, token):
    """A whole scan from the panel; a job that was broken off before may keep the scanner busy for a second."""
    def scan():
        return push_scan(site, press(site, listener, until, "/panel"), token)

    assert b"\xff\xd8\xff" in until(scan, 30.0)


PANEL = {"events": ["ScanAvailableEvent"], "destinations": [("ctx", "Scan to me")]}


def test_killed_at_random_moments_nothing_that_was_answered_is_lost(site, listener, until):
    moments = random.Random(20261122)
    response, panel = site.subscribe(listener.url + "/panel", end_to=listener.url + "/end", **PANEL)
    token = dict(read_tokens(response.body))["ctx"]
    answered, renewed, ended, failures = [panel], set(), set(), []

    def subscribe_on_and_on(number):
        while True:
            try:
                answered.append(site.subscribe(f"{listener.url}/more/{number}")[1])
                assert site.ask(manage("Renew", answered[-1], expires="PT2H"))[0] == 200
                renewed.add(answered[-1])
                gone = answered.pop(moments.randrange(1, len(answered)))
                assert site.ask(manage("Unsubscribe", gone))[0] == 200
                ended.add(gone)
                answered.append(site.subscribe(f"{listener.url}/more/{number}")[1])
            except OSError:
                return  # killed
            except AssertionError as failure:  # nobody else hears of it: this is a thread
                failures.append(failure)
                return

    for number in range(KILLS):
        identifier = press(site, listener, until, "/panel")
        busy = threading.Thread(target=subscribe_on_and_on, args=(number,))
        busy.start()

        def scanning(identifier=identifier):
            try:
                push_scan(site, identifier, token)
            except OSError:
                pass  # killed

        scan = threading.Thread(target=scanning)
        scan.start()
        scan.join(moments.uniform(0.0, 0.5))
        site.end(signal.SIGKILL)
        busy.join(20)
        scan.join(20)
        site.start()
        assert not failures
        for identifier in answered:
            status, body = site.ask(manage("GetStatus", identifier))
            assert status == 200, fault_of(read(body))
            if identifier in renewed:
                assert float(read(body).body.findtext(f"{W}Expires")[2:-1]) > 3600
        for identifier in ended:
            assert fault_of(read(site.ask(manage("GetStatus", identifier))[1])) == "InvalidMessage"
        a_scan_works(site, listener, until, token)
    assert "/end" not in listener.told
    asked = site.control()["asked"]
    assert asked["Subscribe"] == 2, "the scanner's subscriptions were made anew"
    assert site.control()["subscriptions"] == 2
    assert asked["Renew"] >= KILLS


def test_a_stop_and_a_start_are_not_noticed(site, listener, until):
    response, panel = site.subscribe(listener.url + "/panel", **PANEL)
    token = dict(read_tokens(response.body))["ctx"]
    _, other = site.subscribe(listener.url + "/other")
    for _ in range(2):
        site.end(signal.SIGTERM)
        assert site.control()["subscriptions"] == 0
        site.start()
        for identifier in (panel, other):
            assert site.ask(manage("Renew", identifier))[0] == 200
        until(lambda: site.control()["subscriptions"] == 2)
        a_scan_works(site, listener, until, token)
    until(lambda: any(one.action.endswith("/JobEndStateEvent") for one in listener.told.get("/other", ())))


def test_a_running_scan_is_finished_before_the_end(site, listener, until):
    site.control("slow?seconds=1", "POST")
    done = []
    scan = threading.Thread(target=lambda: done.append(site.ask(create_scan_job())))
    scan.start()
    until(lambda: site.control()["asked"].get("CreateScanJob") or scan.join(0.05))
    site.end(signal.SIGTERM)
    scan.join(20)
    [(status, body)] = done
    assert status == 200
    assert read_created(read(body).body)


def test_a_scanner_that_is_taken_from_the_configuration_leaves_nobody_waiting(site, listener, until, tmp_path):
    site.subscribe(listener.url + "/panel", end_to=listener.url + "/end", **PANEL)
    site.subscribe(listener.url + "/other", end_to=listener.url + "/end")
    site.end(signal.SIGKILL)
    assert site.control()["subscriptions"] == 2
    text = (tmp_path / "gateway.toml").read_text()
    (tmp_path / "gateway.toml").write_text(text.replace('"front-desk"', '"other-desk"'))
    site.start()
    ends = until(lambda: len(listener.told.get("/end", ())) == 2 and listener.told["/end"])
    assert {one.body.findtext(f"{W}Status") for one in ends} == {f"{WSE}/SourceCanceling"}
    until(lambda: site.control()["subscriptions"] == 1)  # the other desk's own
    assert [one["side"] for one in site.api("subscriptions")] == ["device"]


def job_of(site, job_id):
    """What GetJobElements says of a job: its state and pages, or the fault's name."""
    status, body = site.ask(get_job_elements(job_id))
    if status != 200:
        return fault_of(read(body))
    known = read_response(read(body).body).status
    return known.state, known.scans_completed


def scan_a_page(site):
    """The job's id, when it is over."""
    job = read_created(read(site.ask(create_scan_job())[1]).body)
    status, _ = site.ask(job_request("RetrieveImage", job.job_id).replace(
        b"</wscn:JobId>", f"</wscn:JobId><wscn:JobToken>{job.job_token}</wscn:JobToken>".encode()))
    assert status == 200
    return job.job_id


def test_a_finished_job_is_known_after_a_kill_though_the_scanner_forgot_it(site, until):
    job_id = scan_a_page(site)
    until(lambda: [(job["job_id"], job["state"]) for job in site.api("jobs")] == [(job_id, "Completed")])
    site.end(signal.SIGKILL)
    site.control("reboot?seconds=0", "POST")

    def has_forgotten():
        try:
            return job_id not in site.control()["jobs"]
        except OSError:
            return False  # it is starting

    until(has_forgotten)
    site.start()
    until(lambda: site.control()["subscriptions"] == 1)
    asked = site.control()["asked"].get("GetJobElements", 0)
    for _ in range(50):
        assert job_of(site, job_id) == ("Completed", 1)
    assert 1 <= site.control()["asked"]["GetJobElements"] - asked <= 10
    [listed] = site.api("jobs")
    assert (listed["job_id"], listed["state"], listed["scans_completed"]) == (job_id, "Completed", 1)
    again = read_created(read(site.ask(create_scan_job("urn:uuid:again"))[1]).body)
    assert again.job_id == job_id
    assert job_of(site, job_id) in (("Pending", 0), ("Aborted", 0))  # the scanner waits a second for a client
    site.end(signal.SIGKILL)
    site.control("reboot?seconds=0", "POST")
    until(has_forgotten)
    site.start()
    assert job_of(site, job_id) in ("ClientErrorJobIdNotFound", ("Aborted", 0))  # the old one is another job
    site.device.send_signal(signal.SIGKILL)
    site.device.wait(20)
    site.end(signal.SIGKILL)
    site.start()
    assert job_of(site, job_id) == "ServerErrorTemporaryError"
