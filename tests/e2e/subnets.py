"""A network on one machine: namespaces for clients, gateway and scanners, in two subnets without a route between them.

    clients ──── 192.0.2.0/24 ──── gateway ──── 198.51.100.0/24 ──── scanners
"""

import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.conftest import program, skip_or_fail

OWN = ("wsd", "announcing")  # the logs of the project's programs; Debian's wsdd prints a traceback when it is ended
CLIENTS, GATEWAY, SCANNERS = "clients", "gateway", "scanners"
PLACES = (CLIENTS, GATEWAY, SCANNERS)
# The interfaces of each namespace, with the address for each version of IP.
ADDRESSES = {CLIENTS: {"lan": ("192.0.2.77/24", "fd00:a::77/64")},
             GATEWAY: {"lan": ("192.0.2.5/24", "fd00:a::5/64"), "vlan": ("198.51.100.5/24", "fd00:b::5/64")},
             SCANNERS: {"vlan": ("198.51.100.20/24", "fd00:b::20/64")}}


def need(packages, *programs):
    """Skips or fails a test whose programs, or network namespaces, are missing; `packages` have the programs."""
    lacking = [name for name in programs if shutil.which(name) is None]
    why = f"needs {', '.join(lacking)}: apt install {packages}" if lacking else missing()
    if why:
        skip_or_fail(why)


def missing():
    """Returns the reason why this network is not possible here, or None."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    name = f"wsdgateway-try-{os.getpid()}"
    try:
        subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
        subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return "needs network namespaces: apt install iproute2"
    return None


class Network:
    """The namespaces and their processes, with IPv4 and link-local IPv6, or with IPv6 only."""

    def __init__(self, folder, *, ipv4):
        self.folder = folder
        self.ipv4 = ipv4
        self.running = []
        self.names = {place: f"wsdgateway-{place}-{os.getpid()}" for place in PLACES}

    def build(self):
        for place in PLACES:
            self._ip("netns", "add", self.names[place])
            # No delay for duplicate address detection.
            self.run(place, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad")
            self.run(place, "ip", "link", "set", "lo", "up")
        for link, place in (("lan", CLIENTS), ("vlan", SCANNERS)):
            self._ip("link", "add", link, "netns", self.names[place], "type", "veth", "peer", "name", link, "netns",
                     self.names[GATEWAY])
        for place, interfaces in ADDRESSES.items():
            for link, (ipv4, ipv6) in interfaces.items():
                self.run(place, "ip", "address", "add", ipv4 if self.ipv4 else ipv6, "dev", link)
                self.run(place, "ip", "link", "set", link, "up")

    def _ip(self, *arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def run(self, place, *command, check=True, seconds=60, **more):
        """Runs a command in a namespace to its end."""
        return subprocess.run(["ip", "netns", "exec", self.names[place], *command], check=check, capture_output=True,
                              text=True, timeout=seconds, cwd=self.folder, **more)

    def start(self, place, *command, log="process", **more):
        """Starts a process in a namespace, until `end` or the test's end; its output is in `process.log`."""
        path = Path(self.folder, f"{log}-{len(self.running)}.log")
        with path.open("wb") as output:
            process = subprocess.Popen(["ip", "netns", "exec", self.names[place], *command], cwd=self.folder,
                                       stdout=output, stderr=subprocess.STDOUT, **more)
        process.log = path
        self.running.append(process)
        return process

    def end(self, process, *, kill=False):
        """Ends a process."""
        if process.poll() is None:
            (process.kill if kill else process.terminate)()
        process.wait(60)
        self.running.remove(process)

    def twistd(self, place, *arguments):
        """Starts a plugin of twistd."""
        return self.start(place, program("twistd"), "-n", "--pidfile=", *arguments, log=arguments[0])

    def scanner(self, file="scanner", **settings):
        """Starts a virtual scanner that takes part in multicast."""
        values = {"endpoint": "tcp6:8018", "interfaces": ["vlan"], "name": "Copy Room", "stamp": "the same",
                  "page_seconds": 0.1, **settings}
        lines = "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())
        Path(self.folder, f"{file}.toml").write_text(f"[scanner]\n{lines}")
        return self.twistd(SCANNERS, "wsdscanner", "--config", f"{file}.toml")

    def gateway(self, scanners, *, port=5357, **discovery):
        """Starts the gateway, with the sections of `[[scanner]]` as TOML."""
        values = {"device_interfaces": ["vlan"], "client_interfaces": ["lan"], "search": 5.0, **discovery}
        lines = "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())
        Path(self.folder, "gateway.toml").write_text(
            f'[[listen]]\nendpoint = "tcp6:{port}"\n[discovery]\n{lines}{scanners}')
        return self.twistd(GATEWAY, "wsdgateway", "--config", "gateway.toml")

    def curl(self, place, url, *arguments):
        """Returns the answer of a URL, empty if there is none."""
        return self.run(place, "curl", "-s", "-m", "5", "-g", *arguments, url, check=False).stdout

    def close(self):
        logs = []
        for process in reversed(self.running[:]):
            with suppress(subprocess.TimeoutExpired):
                self.end(process)
            if process.log.name.startswith(OWN):
                logs.append(process.log.read_text(errors="replace"))
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        return logs


@contextmanager
def namespaces(folder, *, ipv4=True):
    """The network, with IPv4 or without, removed at the end; a traceback in a log of its processes fails the test."""
    made = Network(folder, ipv4=ipv4)
    try:
        made.build()
        yield made
    finally:
        logs = made.close()
    assert not [log for log in logs if "Traceback" in log]


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(value)
