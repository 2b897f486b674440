"""Starts several gateways, a Redis server and a virtual scanner as processes on loopback.

    clients ──► gateways ──► proxy ──► scanner ──► address ──► one of the gateways

The gateways share `[events] address`, a port of this process that stands for an address which moves between them: it
passes connections on to the gateway that `address.holder` names. Without `shares_address` each has a port of its own.
No interface has that address, so no gateway believes that it holds it.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import attrs

from tests.cluster.clients import Client, Sinks
from tests.cluster.history import Connection
from tests.cluster.link import Link
from tests.cluster.proxy import RecordingProxy
from tests.cluster.recorder import Recorder
from tests.ports import free_port
from tests.redisserver import RedisServer
from tests.replicatedredis import Replicated

ROOT = str(Path(__file__).parents[2])
PROGRAM = str(Path(sys.executable).with_name("twistd"))
PATIENCE = 60.0  # seconds for a process on a loaded machine
LEASE = 4.0
DOWN_AFTER = 5000  # milliseconds: more than a lease, as the manual says
ADDRESS = "127.0.0.9"
LAPSED = "this gateway no longer owns the scanner"
UNLEASED, LEASED, STARTED = "serving it alone", "no longer alone", "starting up."


def until(condition, seconds=PATIENCE, pause=0.02):
    """Polls a condition that depends on other processes; returns its first true value."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError("the condition was not met within the time limit")
        time.sleep(pause)


def ask(port, path, method="GET"):
    """Returns the answer of a site on loopback, read as JSON if it is JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        body = connection.getresponse().read()
    finally:
        connection.close()
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


class _Process:
    """A program of the project in the foreground; its output is appended to one log over all of its runs."""

    def __init__(self, folder, name, plugin, ports):
        self._folder, self.name, self._plugin, self._ports = folder, name, plugin, ports
        self.log = folder / f"{name}.log"
        self._process = None

    @property
    def pid(self):
        """The number of the process."""
        return self._process.pid

    @property
    def is_running(self):
        """True if the process has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def status(self):
        """The exit status, once the process has ended."""
        return self._process.poll()

    def launch(self):
        """Starts the process without waiting for it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-n", "--pidfile=", self._plugin, "--config", f"{self.name}.toml"], cwd=self._folder,
                stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": ROOT})

    def wait_until_open(self):
        """Waits until every port is open."""
        for port in self._ports:
            until(lambda port=port: self._is_open(port))

    def _is_open(self, port):
        assert self.is_running, self.said()
        with contextlib.suppress(OSError):
            return ask(port, "/nothing") is not None
        return False

    def start(self):
        """Starts the process, and waits until its ports are open."""
        self.launch()
        self.wait_until_open()

    def send(self, how):
        """Sends a signal."""
        if self.is_running:
            self._process.send_signal(how)

    def kill(self):
        """Kills the process (SIGKILL)."""
        self.send(signal.SIGKILL)
        self._process.wait(PATIENCE)

    def terminate(self):
        """Ends the process (SIGTERM), and waits for it."""
        self.send(signal.SIGTERM)
        self._process.wait(PATIENCE)

    def wait(self):
        """Waits until the process ends. Returns its exit status."""
        return self._process.wait(PATIENCE)

    def said(self):
        """Returns the log of all runs."""
        return self.log.read_text(errors="replace")


class Gateway(_Process):
    """One gateway of the cluster, with an admin site."""

    def __init__(self, lab, name):
        self.port, self.admin, self.peer = free_port(), free_port(), free_port()
        super().__init__(lab.folder, name, "wsdgateway", (self.port, self.admin))
        self._recorder = lab.recorder
        self.redis_link = Link(lab.redis.port) if lab.has_links and lab.redis is not None else None
        self.peer_link = Link(self.peer) if lab.has_links else None

    def kill(self):
        """Kills the process (SIGKILL)."""
        with self._recorder.lost(self.name):
            super().kill()

    def terminate(self):
        """Ends the process (SIGTERM), and waits for it."""
        with self._recorder.lost(self.name):
            super().terminate()

    def stop_links(self):
        """Closes the links."""
        for one in (self.redis_link, self.peer_link):
            if one is not None:
                one.stop()

    @contextlib.contextmanager
    def stopped(self):
        """Stops the process (SIGSTOP) for the block; its connections stay open."""
        with self._recorder.stopped(self.name):
            self.send(signal.SIGSTOP)
            try:
                yield
            finally:
                self.send(signal.SIGCONT)

    def metric(self, name, **labels):
        """Returns the sum of a metric over all series with these labels."""
        lines = ask(self.admin, "/metrics").splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} "))
                   and all(f'{label}="{value}"' in line for label, value in labels.items()))

    @property
    def is_owner(self):
        """True if the gateway owns the scanner, alone or not; False while it does not answer."""
        try:
            return sum(self.metric("wsdgateway_cluster_scanners", state=state) for state in ("owning", "alone")) > 0
        except OSError:
            return False


    @property
    def owns(self):
        """True if the gateway owns the scanner by a lease; False while it does not answer."""
        try:
            return any(line.endswith(": owned") for line in ask(self.admin, "/readyz").splitlines())
        except OSError:
            return False


class Address:
    """The address at which the scanner notifies the gateways; `holder` is the gateway that has it at the moment."""

    def __init__(self, holder, on_exchange):
        self.holder = holder
        self._proxy = RecordingProxy(
            lambda: None if self.holder is None else (self.holder.name, self.holder.port), on_exchange,
            host=ADDRESS)
        self.url = f"http://{ADDRESS}:{self._proxy.port}"

    def stop(self):
        """Closes the port."""
        self._proxy.stop()


class Lab:
    """The processes, what they are asked, and the history of it all.

    `state` is "redis", "sentinel" for one master with two replicas and three Sentinels, or that of a single gateway.
    With `has_links` each gateway reaches Redis, and is reached by the others, over a `tests.cluster.link.Link`; with
    Sentinels only the latter, since they tell the addresses of the servers. `scanner_settings` and `more` are lines for
    the configuration of the virtual scanner and of the gateways.
    """

    def __init__(self, folder, *, gateways=2, state="redis", shares_address=True, max_connections=2, max_rate=None,
                 lease=LEASE, alone=True, has_links=False, scanner_settings="", more=""):
        self.folder, self.state, self._more, self._lease, self._alone = folder, state, more, lease, alone
        self.limits = {"max_connections": max_connections, "max_rate": max_rate}
        self.recorder = Recorder()
        self.redis = RedisServer(folder / "redis", port=free_port()) if state == "redis" else None
        self.has_links, self.is_shared = has_links, state in ("redis", "sentinel")
        self._servers = []
        self.replicated = None  # the servers and Sentinels, once they are started
        self._scanner_port = free_port()
        (folder / "scanner.toml").write_text(
            f'[scanner]\nendpoint = "tcp:{self._scanner_port}:interface=127.0.0.1"\nstamp = "the same"\n'
            f"page_seconds = 0.1\njob_timeout = 30.0\n{scanner_settings}")
        self.scanner = _Process(folder, "scanner", "wsdscanner", (self._scanner_port,))
        self.gateways = [Gateway(self, f"gw-{letter}") for letter in "abcde"[:gateways]]
        self.by_name = {one.name: one for one in self.gateways}
        self.device = RecordingProxy(lambda: ("scanner", self._scanner_port), self.recorder.asked,
                                     on_connection=self.recorder.connected, who=self._gateway_at)
        holders = self.gateways[:1] if shares_address else self.gateways
        self._addresses = [Address(one, self.recorder.announced) for one in holders]
        self.address = self._addresses[0]
        self.sinks = Sinks(self.recorder)

    def _configure(self, gateway, notified):
        limit = "" if self.limits["max_rate"] is None else f"max_rate = {self.limits['max_rate']}\n"
        address = f'address = "http://127.0.0.1:{gateway.peer_link.port}"\n' if self.has_links else ""
        cluster = "" if not self.is_shared else (
            f'[cluster]\nendpoint = "tcp:{gateway.peer}:interface=127.0.0.1"\nlease = {self._lease}\n{address}'
            f"alone = {str(self._alone).lower()}\n")
        (self.folder / f"{gateway.name}.toml").write_text(
            f'[gateway]\nname = "{gateway.name}"\nstate = "{self._state_of(gateway)}"\n'
            f'[[listen]]\nendpoint = "tcp:{gateway.port}:interface=127.0.0.1"\n'
            f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{self.device.port}/WDP/SCAN"\n'
            f"max_connections = {self.limits['max_connections']}\n{limit}"
            f'[events]\naddress = "{notified.url}"\n{cluster}'
            f'[exchange_log]\npath = "{gateway.name}.jsonl"\n'
            f'[admin]\nendpoint = "tcp:{gateway.admin}:interface=127.0.0.1"\n{self._more}')

    def _start_server(self, **options):
        self._servers.append(RedisServer(self.folder / f"redis-{len(self._servers)}", **options))
        return self._servers[-1].start()

    def _state_of(self, gateway):
        if self.replicated is not None:
            return self.replicated.url
        if gateway.redis_link is not None:
            return f"redis://127.0.0.1:{gateway.redis_link.port}/0"
        return self.state if self.redis is None else self.redis.url

    def _gateway_at(self, port):
        """Returns the name of the gateway whose process has the connection from that port; None if it is unknown."""
        inodes = _inodes_of(port)
        return next((one.name for one in self.gateways if one.is_running and _has_socket(one.pid, inodes)), None)

    def start(self):
        """Starts everything, and waits until the scanner has the gateways' subscription."""
        if self.redis is not None:
            self.redis.start()
        if self.state == "sentinel":
            self.replicated = Replicated(self._start_server, down_after=DOWN_AFTER)
        for place, gateway in enumerate(self.gateways):
            self._configure(gateway, self._addresses[place % len(self._addresses)])
        self.scanner.start()
        for one in self.gateways:
            one.launch()
        for one in self.gateways:
            one.wait_until_open()
        until(lambda: self.control()["subscriptions"] > 0)
        return self

    def end(self):
        """Ends every process. Returns their logs, joined."""
        for one in self.gateways:
            one.send(signal.SIGCONT)
        servers = self._servers if self.redis is None else [self.redis]
        for one in servers:
            if one.process is not None:
                one.cont()
        for ended in (self.gateways, [self.scanner]):
            for one in ended:
                one.send(signal.SIGTERM)
            for one in ended:
                if one.is_running:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        one.wait()
                    one.kill()
        for one in servers:
            one.close()
        for one in self.gateways:
            one.stop_links()
        self.device.stop()
        for one in self._addresses:
            one.stop()
        self.sinks.stop()
        return "".join(one.said() for one in (*self.gateways, self.scanner) if one.log.exists())

    def client(self, address="127.0.0.1", seconds=30.0):
        """Returns a client at that address of loopback."""
        return Client(self.recorder, {one.name: one.port for one in self.gateways}, address, seconds)

    def control(self, action="", method="GET"):
        """Performs an action of the virtual scanner, or returns its state."""
        return ask(self._scanner_port, f"/control/{action}", method)

    def record_logged(self):
        """Records from the gateways' logs, which have whole seconds, what no failure here tells.

        These are the times in which gateways have lost the scanner, or have served it without a lease.
        """
        since = time.time() - time.monotonic()
        for one in self.gateways:
            unleased = None
            for line in one.said().splitlines():
                if not any(mark in line for mark in (LAPSED, UNLEASED, LEASED, STARTED)):
                    continue
                at = datetime.strptime(line.partition(" ")[0], "%Y-%m-%dT%H:%M:%S%z").timestamp() - since
                if LAPSED in line:
                    self.recorder.lapsed(one.name, at - self._lease, at + 1.0)
                elif unleased is not None:
                    self.recorder.unleased(one.name, unleased, at + 1.0)
                unleased = at if UNLEASED in line else None
            if unleased is not None:
                self.recorder.unleased(one.name, unleased, time.monotonic())

    def history(self):
        """Returns what happened so far, with the scanner's limits. A connection that is open ends now."""
        history = self.recorder.history(**self.limits)
        now = time.monotonic()
        still_open = [Connection(opened, now, name) for opened, name in self.device.open_connections]
        return attrs.evolve(history, connections=(*history.connections, *still_open))

    @property
    def owner(self):
        """The gateway that owns the scanner now, None if there is none."""
        if not self.is_shared:
            return self.gateways[0]
        return next((one for one in self.gateways if one.is_running and one.is_owner), None)

    def others(self, gateway):
        """Returns the other gateways."""
        return [one for one in self.gateways if one is not gateway]


def _inodes_of(port):
    """The sockets of this host whose local port is that one and that are not this process's listeners."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port:
            found.add(fields[9])
    return found


def _has_socket(pid, inodes):
    names = {f"socket:[{inode}]" for inode in inodes}
    with contextlib.suppress(OSError):
        for entry in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{entry}") in names:
                    return True
    return False
