"""Grafana dashboard: every query finds data in Debian's Prometheus, which scrapes a working gateway."""

import json
import math
import shutil
import socket
import subprocess
import time
import uuid
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.certificates import Certified
from tests.dashboards import ALERT_TESTS, CONFIG, RULES, alerts, dashboard, filled, is_of_cluster, panels
from tests.e2e.conftest import program, skip_or_fail, wait_for_port
from tests.e2e.site import Listener, post
from tests.messages import get_job_elements, job_request, subscribe
from tests.ports import free_port
from tests.redisserver import redis_servers
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of

__all__ = ("redis_servers",)

PATH = "/front-desk/scan"
DISCOVERY = ("239.255.255.250", 3702)
# Prometheus moves a scrape's timestamp by up to 2 ms, so that scrapes have even distances.
MOVED = 0.01
PROMTOOL_SECONDS = 300  # the tests of the alerts take 20 s on one core alone
TOKEN = "    # authorization:\n    #   credentials_file: /etc/prometheus/wsdgateway.token\n"


def _need_prometheus():
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        skip_or_fail("needs prometheus and promtool: apt install --no-install-recommends prometheus")


def ask(port, path, method="GET"):
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def promtool(*arguments):
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=PROMTOOL_SECONDS)


class Office:
    """A virtual scanner, the gateway in front of it, and a client that receives events."""

    def __init__(self, twistd, folder, listener):
        self.folder, self.listener = folder, listener
        self.scanner, self.port, self.admin, self.escl = (free_port() for _ in range(4))
        # A UUID of its own: other scanners may be heard on loopback.
        (folder / "scanner.toml").write_text(
            f'[scanner]\nendpoint = "tcp:{self.scanner}:interface=127.0.0.1"\npage_seconds = 0.1\n'
            f'uuid = "{uuid.uuid4()}"\ninterfaces = ["lo"]\n')
        Certified(folder, "server", "127.0.0.1")
        (folder / "gateway.toml").write_text(
            f'[gateway]\nstate = "memory:"\n[[listen]]\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\n'
            f'[[listen]]\nendpoint = "tcp:{free_port()}:interface=127.0.0.1"\ncertificate = "server.pem"\n'
            'key = "server.key"\n'
            f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{self.scanner}/WDP/SCAN"\n'
            '[discovery]\ndevice_interfaces = ["lo"]\n'
            '[[destination]]\nname = "Scans"\nfolder = "."\nformat = "jpeg"\n'
            f'[escl]\nannounce = false\ninterface = "127.0.0.1"\nports = "{self.escl}-{self.escl}"\n'
            f'[admin]\nendpoint = "tcp:{self.admin}:interface=127.0.0.1"\n')
        twistd(self.scanner, "wsdscanner", "--config", "scanner.toml")
        twistd(self.port, "wsdgateway", "--config", "gateway.toml", admin=self.admin)

    def listen(self):
        status, body = post(self.port, PATH, subscribe(self.listener.url + "/told"))
        assert status == 200, fault_of(read(body))

    def work(self, until):
        """Makes exchanges of every kind, waits for their end, and returns the time."""
        before = len(self.ended())
        done = subprocess.run([program("wsdgateway"), "scan", f"http://127.0.0.1:{self.port}{PATH}", "-o", "page.jpg"],
                              cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        until(lambda: len(self.ended()) > before)
        job = ask(self.admin, "/api/jobs")[-1]["job_id"]
        for _ in range(20):
            assert post(self.port, PATH, get_job_elements(job))[0] == 200  # from the job table
        assert post(self.port, PATH, get_job_elements(job, names=("wscn:ScanTicket",)))[0] == 200  # from the scanner
        assert post(self.port, PATH, job_request("RetrieveImage", "999"))[0] >= 400  # the scanner's fault
        assert post(self.port, PATH, b"no SOAP")[0] == 400  # refused
        files = len(self.files())
        ask(self.scanner, "/control/press", "POST")
        until(lambda: len(self.files()) > files and len(self.ended()) > before + 1)
        with urlopen(f"http://127.0.0.1:{self.escl}/eSCL/ScannerStatus", timeout=60) as status:
            assert status.status == 200
        with socket.socket(type=socket.SOCK_DGRAM) as anybody:
            anybody.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            anybody.sendto(b"no message", DISCOVERY)
        return time.time()

    def files(self):
        """The files that were scanned from the panel."""
        return list(self.folder.glob("front-desk-*.jpg"))

    def ended(self):
        return [one for one in self.listener.received.get("/told", ()) if one.action.endswith("/JobEndStateEvent")]


class Prometheus:
    """Debian's Prometheus, with the configuration in `config/` except for the target and the scrape interval."""

    def __init__(self, folder, admin):
        text = (CONFIG / "prometheus.yml").read_text()
        for there, here in (("127.0.0.1:8357", f"127.0.0.1:{admin}"),
                            ("scrape_interval: 15s", "scrape_interval: 1s\n  evaluation_interval: 1s")):
            assert text.count(there) == 1
            text = text.replace(there, here)
        (folder / "prometheus.yml").write_text(text)
        (folder / RULES.name).write_bytes(RULES.read_bytes())
        self.port = free_port()
        with (folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                [shutil.which("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=prometheus",
                 f"--web.listen-address=127.0.0.1:{self.port}"], cwd=folder, stdout=log, stderr=subprocess.STDOUT)

    def query(self, expression):
        """Returns the samples of an instant query, or an error message."""
        answer = ask(self.port, "/api/v1/query?" + urlencode({"query": expression}))
        return answer["data"]["result"] if answer["status"] == "success" else answer["error"]

    def scraped(self, moment):
        """Whether there is a scrape from after that moment; checks five times a second."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(0.2)
        assert self.process.poll() is None
        with suppress(OSError, ValueError):  # it answers 503 at first
            found = self.query(f'timestamp(up{{job="wsdgateway"}}) > {moment + MOVED} and up == 1')
            assert isinstance(found, list), found
            return found

    def end(self):
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture
def office(twistd, tmp_path, until):
    """An office whose gateway and client are subscribed."""
    _need_prometheus()
    listener = Listener()
    made = Office(twistd, tmp_path, listener)
    until(lambda: ask(made.scanner, "/control/")["subscriptions"] == 2)
    made.listen()
    yield made
    listener.server.shutdown()
    listener.server.server_close()


@pytest.fixture
def prometheus(office, tmp_path):
    made = Prometheus(tmp_path, office.admin)
    try:
        wait_for_port(made.port, made.process)
        yield made
    finally:
        made.end()


@pytest.fixture
def gateways(twistd, tmp_path, redis_servers, until):
    """Two gateways on one Redis server, in front of one virtual scanner: the ports for clients and admin sites."""
    _need_prometheus()
    server = redis_servers(appendonly="yes", maxmemory_policy="noeviction")
    scanner = free_port()
    (tmp_path / "scanner.toml").write_text(f'[scanner]\nendpoint = "tcp:{scanner}:interface=127.0.0.1"\n')
    twistd(scanner, "wsdscanner", "--config", "scanner.toml")
    ports = {}
    for name in ("one", "two"):
        port, admin = ports[name] = free_port(), free_port()
        (tmp_path / f"{name}.toml").write_text(
            f'[gateway]\nname = "{name}"\nstate = "{server.url}"\n'
            f'[cluster]\nendpoint = "tcp:{free_port()}:interface=127.0.0.1"\nlease = 10.0\n'
            f'[[listen]]\nendpoint = "tcp:{port}:interface=127.0.0.1"\n'
            f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{scanner}/WDP/SCAN"\n'
            f'[admin]\nendpoint = "tcp:{admin}:interface=127.0.0.1"\n')
        twistd(port, "wsdgateway", "--config", f"{name}.toml", admin=admin)
    until(lambda: len(ask(ports["one"][1], "/api/cluster")["gateways"]) == 2)
    until(lambda: ask(ports["one"][1], "/api/scanners")[0]["owner"])
    return ports


def move(admin, gateway, until):
    """Moves the scanner to a gateway, unless that owns it."""
    if ask(admin, "/api/scanners")[0]["owner"] != gateway:
        done = subprocess.run([program("wsdgateway"), "cluster", "move", "front-desk", gateway, f"127.0.0.1:{admin}"],
                              capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, f"{gateway} owns front-desk now.\n"), done.stderr
    until(lambda: ask(admin, "/api/scanners")[0]["owner"] == gateway)


def test_every_panel_of_several_gateways_shows_data(gateways, tmp_path, until):
    (port, admin), _ = gateways["one"], gateways["two"]
    prometheus = Prometheus(tmp_path, admin)
    try:
        wait_for_port(prometheus.port, prometheus.process)
        for _ in range(2):  # a counter that was scraped only once has no rate yet
            move(admin, "two", until)
            assert post(port, PATH, get_job_elements("1"))[0] >= 400  # by the owner; the scanner has no such job
            move(admin, "one", until)
            until(partial(prometheus.scraped, time.time()))
        answers = {(panel["title"], target["refId"]): prometheus.query(filled(target["expr"]))
                   for panel in panels() if is_of_cluster(panel) for target in panel["targets"]}
    finally:
        prometheus.end()
    assert {title for title, _ in answers} >= {"Takeovers", "Answers of Redis", "Writes that Redis refused"}
    assert {key: trouble for key, found in answers.items() if (trouble := trouble_with(found))} == {}
    owned = {sample["metric"]["state"]: float(sample["value"][1])
             for sample in answers["Scanners, by gateway and what it does", "A"]}
    assert owned == {"owning": 1, "following": 0, "alone": 0}


def trouble_with(found):
    """Returns what is wrong with the answer to a query, or None; a rate of zero by zero is NaN."""
    if not isinstance(found, list):
        return found
    if not any(math.isfinite(float(sample["value"][1])) for sample in found):
        return f"no data: {found}"
    return None


def test_every_panel_shows_data_of_a_working_gateway(office, prometheus, until):
    for _ in range(2):  # a counter that was scraped only once has no rate yet
        until(partial(prometheus.scraped, office.work(until)))
    answers = {(panel["title"], target["refId"]): prometheus.query(filled(target["expr"]))
               for panel in panels() if not is_of_cluster(panel) for target in panel["targets"]}
    troubles = {key: trouble for key, found in answers.items() if (trouble := trouble_with(found))}
    # Every query must return data, including discovery and its drops. Metrics without such an event, for example an
    # unanswered request or a lost notification, are zero.
    assert not troubles

    def shown(title, label=None, query="A"):
        return {sample["metric"].get(label): float(sample["value"][1]) for sample in answers[title, query]}

    # Of 21 reads in each round, one reached the scanner.
    assert 0.8 < shown("Status reads answered here")[None] < 1
    reads = shown("Status reads: answered here, asked there", "source")
    assert reads["local"] > reads["device"] > 0
    assert shown("Finished jobs, by state", "state")["Completed"] == 4
    assert shown("Subscriptions", "side") == {"device": 2, "client": 1}
    assert shown("Scanners without a subscription")[None] == 0
    assert shown("Configuration")[None] == 1
    assert shown("Scans from the panel: files, and what failed", "outcome")["ok"] > 0
    [left] = shown("Certificates expire in", "endpoint").values()
    assert 29 < left / 86400 < 30
    assert shown("Images, each scanner", "scanner")["front-desk"] > 0
    assert shown("Discovery messages that were dropped", "reason")["malformed"] > 0
    assert 0 < shown("Answered here")[None] < shown("Images")[None]

    [scanner] = [one for one in dashboard()["templating"]["list"] if one["name"] == "scanner"]
    name = scanner["query"]["query"].removeprefix("label_values(").removesuffix(", scanner)")
    assert ask(prometheus.port, f"/api/v1/label/scanner/values?match[]={name}")["data"] == ["front-desk"]

    def evaluated():
        groups = ask(prometheus.port, "/api/v1/rules")["data"]["groups"]
        rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
        return rules if all(rule["health"] != "unknown" for rule in rules.values()) else None

    rules = until(evaluated)
    assert rules.keys() == alerts().keys()
    assert {(rule["health"], rule["state"]) for rule in rules.values()} == {("ok", "inactive")}


def test_promtool_accepts_the_configuration(tmp_path):
    _need_prometheus()
    done = promtool("check", "config", str(CONFIG / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    # With the lines for the token, which are comments there.
    text = (CONFIG / "prometheus.yml").read_text()
    assert text.endswith(TOKEN)
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / RULES.name).write_bytes(RULES.read_bytes())
    (tmp_path / "prometheus.yml").write_text(text.removesuffix(TOKEN) + TOKEN.replace("# ", "").replace(
        "/etc/prometheus/wsdgateway.token", str(tmp_path / "token")))
    done = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_fire_and_end_as_their_tests_say():
    _need_prometheus()
    done = promtool("test", "rules", str(ALERT_TESTS))
    assert done.returncode == 0, done.stdout + done.stderr
