"""Two print servers with keepalived, and Redis with Sentinel on three hosts, in network namespaces.

    client 192.0.2.77 ── clients ─┬─ print-server-1 ─┬─ scanners ── scanner 198.51.100.20
                                  └─ print-server-2 ─┘
                                        │ servers: 203.0.113.5, .6
                                     redis-3, 203.0.113.7

The programs run with the files of `config/cluster`, changed as their comments say. With `sentinel=False` there is one
Redis server, on redis-3. `clocks` maps servers to the seconds by which the system clock of their gateway is ahead.
`scanner` is the command of another scanner than the virtual one as it is, `pages` the seconds that a page takes.
"""

import http.client
import json
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cluster.lab import until
from tests.cluster.namespaces import ROOT, SWITCH, Namespaces
from tests.cluster.reads import ANSWER_SECONDS, asked, post, read_and_read

CLIENT, SCANNER, THIRD = "client", "scanner", "redis-3"
SERVERS = {"print-server-1": "5", "print-server-2": "6"}  # the last number of their addresses
REDIS_HOSTS = {**SERVERS, THIRD: "7"}
CLIENTS_LINK, SCANNERS_LINK, SERVERS_LINK = "eth0", "eth1", "eth2"
HOSTS = {**{name: {CLIENTS_LINK: f"192.0.2.{end}", SCANNERS_LINK: f"198.51.100.{end}",
                   SERVERS_LINK: f"203.0.113.{end}"} for name, end in SERVERS.items()},
         THIRD: {SERVERS_LINK: "203.0.113.7"}, SCANNER: {SCANNERS_LINK: "198.51.100.20"},
         CLIENT: {CLIENTS_LINK: "192.0.2.77"}}
SHARED, SHARED_AT_SCANNERS = "192.0.2.10", "198.51.100.10"
PORT, ADMIN, PEER, REDIS, SENTINEL = 5357, 8357, 5360, 6379, 26379
CONFIG = Path(ROOT, "config", "cluster")
PASSWORD = "A-LONG-PASSWORD"
SETTLING_SECONDS = 180.0  # on a loaded machine
PATIENT = (sys.executable, f"{ROOT}/tests/cluster/patientscanner.py", "scanner.toml")


class PrintServers(Namespaces):
    """The hosts, their programs, and a virtual scanner."""

    def __init__(self, folder, *, sentinel=True, changes=(), clocks=(), scanner=(), pages=0.5):
        super().__init__(folder, HOSTS)
        self._sentinel, self._changes, self._clocks = sentinel, changes, dict(clocks)
        self._scanner, self._pages = scanner or _twistd("wsdscanner", "scanner.toml"), pages
        self._running = {}

    def begin(self):
        """Starts everything, and waits until one gateway owns the scanner and the other one follows."""
        self.build()
        (self.folder / "scanner.toml").write_text(
            f'[scanner]\nendpoint = "tcp:80:interface={HOSTS[SCANNER][SCANNERS_LINK]}"\nstamp = "the same"\n'
            f"job_timeout = 3600.0\npage_seconds = {self._pages}\n")
        self._running[SCANNER, "scanner"] = self.start(SCANNER, "scanner", *self._scanner)
        for host in reversed(REDIS_HOSTS):
            self._configure(host)
        for host in reversed(REDIS_HOSTS):
            self.boot(host)
        self.settle()

    def _configure(self, host):
        end = REDIS_HOSTS[host]
        folder = self.folder / host
        folder.mkdir()
        (folder / "redis").mkdir()
        (folder / "sentinel").mkdir()
        redis = _text("redis.conf").replace("bind 203.0.113.5", f"bind 203.0.113.{end}")
        if host == THIRD:
            redis = redis.replace("\nreplicaof", "\n# replicaof").replace("replica-priority 100", "replica-priority 10")
        if not self._sentinel:
            redis = redis.replace("\nmin-replicas", "\n# min-replicas")
        (folder / "redis.conf").write_text(redis)
        (folder / "sentinel.conf").write_text(
            _text("sentinel.conf").replace("bind 203.0.113.5", f"bind 203.0.113.{end}"))
        if host not in SERVERS:
            return
        gateway = _text("gateway.toml").replace('"print-server-1"', f'"{host}"').replace(
            "interface=203.0.113.5", f"interface=203.0.113.{end}")
        if not self._sentinel:
            lines = gateway.splitlines(keepends=True)
            gateway = "".join(f'state = "redis://{HOSTS[THIRD][SERVERS_LINK]}:{REDIS}/0"\n'
                              if line.startswith("state") else line for line in lines)
        for old, new in self._changes:
            assert old in gateway, old
            gateway = gateway.replace(old, new)
        (folder / "gateway.toml").write_text(gateway)
        (folder / "redis-password").write_text(f"{PASSWORD}\n")
        (folder / "redis-password").chmod(0o600)
        (folder / "keepalived.conf").write_text(_text("keepalived.conf"))
        (folder / "keepalived.conf").chmod(0o644)

    def boot(self, host):
        """Starts the programs of a host that do not run."""
        if self._sentinel or host == THIRD:
            self.launch(host, "redis")
        if self._sentinel:
            self.launch(host, "sentinel")
        if host in SERVERS:
            self.launch(host, "gateway")
            self.launch(host, "keepalived")

    def launch(self, host, name):
        """Starts a program of a host, unless it runs."""
        if (host, name) in self._running and self._running[host, name].poll() is None:
            return
        folder = self.folder / host
        command = {
            "redis": ("redis-server", f"{folder}/redis.conf", "--dir", f"{folder}/redis"),
            "sentinel": ("redis-server", f"{folder}/sentinel.conf", "--sentinel", "--dir", f"{folder}/sentinel"),
            "gateway": _twistd("wsdgateway", f"{host}/gateway.toml"),
            "keepalived": ("keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file",
                           f"{folder}/keepalived.conf", "--pid", f"{folder}/keepalived.pid", "--vrrp_pid",
                           f"{folder}/vrrp.pid")}[name]
        if name == "gateway" and host in self._clocks:
            command = (sys.executable, f"{ROOT}/tests/cluster/otherclock.py", str(self._clocks[host]), *command[1:])
        self._running[host, name] = self.start(host, f"{host}-{name}", *command)

    def signal(self, host, name, how):
        """Sends a signal to a program of a host. Waits for its end if it is SIGKILL."""
        process = self._running[host, name]
        process.send_signal(how)
        if how == signal.SIGKILL:
            process.wait()

    def wait_for_end(self, host, name):
        """Waits until a program of a host has ended."""
        self._running[host, name].wait(60)

    def power_off(self, host):
        """The death of a host: its cables are out, then its programs are gone without a word."""
        self.plug(host, is_in=False)
        for (place, name), process in self._running.items():
            if place == host and process.poll() is None:
                self.signal(host, name, signal.SIGKILL)
        with suppress(AssertionError):
            for link, address in ((CLIENTS_LINK, SHARED), (SCANNERS_LINK, SHARED_AT_SCANNERS)):
                self.run(host, "ip", "address", "del", f"{address}/24", "dev", link)

    def power_on(self, host):
        """Starts a host that was dead."""
        self.plug(host, is_in=True)
        self.boot(host)

    def settle(self, seconds=SETTLING_SECONDS):
        """Waits until one gateway owns the scanner and the other one follows. Has the owner where the addresses are."""
        until(lambda: all(map(self.redis_answers, SERVERS)) and self.holder and self.owner and self.follower, seconds,
              pause=0.1)
        if self.owner != self.holder:
            self.run(self.owner, sys.executable, "-m", "wsdgateway", "cluster", "move", "front-desk", self.holder,
                     f"http://127.0.0.1:{ADMIN}", PYTHONPATH=ROOT)
            until(lambda: self.owner == self.holder and self.follower, seconds, pause=0.1)

    def redis_answers(self, server):
        """True if a gateway says that Redis answers it."""
        described = json.loads(self.ask(server, f"127.0.0.1:{ADMIN}/api/cluster") or "{}")
        return described.get("redis", {}).get("reachable") is True

    def ask(self, place, url, method="GET"):
        """Returns the answer of a site, empty if there is none."""
        host, _, path = url.partition("/")

        def answer():
            connection = http.client.HTTPConnection(host, timeout=5)
            try:
                connection.request(method, f"/{path}")
                return connection.getresponse().read().decode()
            except (OSError, http.client.HTTPException):
                return ""
            finally:
                connection.close()

        return self.inside(place, answer)

    def scanner(self, action="", method="GET"):
        """Performs an action of the virtual scanner, or returns its state; empty while it does not answer."""
        return json.loads(self.ask(SWITCH, f"{HOSTS[SCANNER][SCANNERS_LINK]}/control/{action}", method) or "{}")

    def metric(self, server, name, **labels):
        """Returns the sum of a metric of a gateway over all series with these labels; 0 while it does not answer."""
        lines = self.ask(server, f"127.0.0.1:{ADMIN}/metrics").splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} "))
                   and all(f'{label}="{value}"' in line for label, value in labels.items()))

    def _in_state(self, *states):
        found = [server for server in SERVERS if any(
            self.metric(server, "wsdgateway_cluster_scanners", state=state) for state in states)]
        return found[0] if len(found) == 1 else None

    @property
    def owner(self):
        """The server whose gateway owns the scanner by the word of Redis; None if there is none, or two."""
        return self._in_state("owning")

    @property
    def follower(self):
        """The server whose gateway follows; None if there is none, or two."""
        return self._in_state("following")

    @property
    def holder(self):
        """The server that has both shared addresses; None if there is none, or two."""
        found = [server for server in SERVERS
                 if {f"{SHARED}/24", f"{SHARED_AT_SCANNERS}/24"} <= set(self.run(server, "ip", "address").split())]
        return found[0] if len(found) == 1 else None

    @property
    def master(self):
        """The host whose Redis server is the master, by the word of a Sentinel that answers."""
        for host in REDIS_HOSTS:
            said = self.sentinel_command(host, "get-master-addr-by-name", "gateways").split()
            if len(said) == 2:
                return next(name for name, end in REDIS_HOSTS.items() if said[0] == f"203.0.113.{end}")
        return None

    def sentinel_command(self, host, *command):
        """Runs a command at the Sentinel of a host. Returns its answer."""
        return self.run(host, "redis-cli", "-h", f"203.0.113.{REDIS_HOSTS[host]}", "-p", str(SENTINEL), "sentinel",
                        *command, check=False)

    def redis(self, host, *command):
        """Runs a command at the Redis server of a host. Returns its answer."""
        return self.run(host, "redis-cli", "-h", f"203.0.113.{REDIS_HOSTS[host]}", "-a", PASSWORD, "--no-auth-warning",
                        *command, check=False)

    def post(self, address, message, seconds=ANSWER_SECONDS):
        """Sends a client's message to an address. Returns HTTP status and body; raises OSError."""
        return self.inside(CLIENT, lambda: post(address, PORT, message, seconds))

    def asked(self, address, message, seconds=ANSWER_SECONDS):
        """Sends a client's message to an address. Returns what came of it, a `tests.cluster.reads.Read`."""
        return self.inside(CLIENT, lambda: asked(address, PORT, message, seconds))

    @contextmanager
    def reading(self, job_id, *addresses):
        """Clients that read a job's status ten times a second, at each of the addresses. Gives the reads of each."""
        stop, reads = threading.Event(), {address: [] for address in addresses}

        def read(address):
            self.enter(CLIENT)  # and so are the threads that this one starts
            read_and_read(address, PORT, job_id, stop, reads[address])

        threads = [threading.Thread(target=read, args=(address,)) for address in addresses]
        for thread in threads:
            thread.start()
        try:
            yield reads
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def _twistd(plugin, file):
    return (str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", plugin, "--config", file)


def _text(name):
    return (CONFIG / name).read_text()
