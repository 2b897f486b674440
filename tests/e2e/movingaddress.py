"""A network on one machine in which an address moves between two gateways.

    gw-a    198.51.100.5  ─┐
    gw-b    198.51.100.6  ─┼─ bridge of the namespace "middle", 198.51.100.1: Redis, clients
    scanner 198.51.100.20 ─┘

The shared address, 198.51.100.9, is added to an interface and announced by a gratuitous ARP, as keepalived does.
"""

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.conftest import program

MIDDLE, SCANNER = "middle", "scanner"
GATEWAYS = {"gw-a": "198.51.100.5", "gw-b": "198.51.100.6"}
ADDRESSES = {MIDDLE: "198.51.100.1", SCANNER: "198.51.100.20", **GATEWAYS}
SHARED = "198.51.100.9"
ROOT = str(Path(__file__).parents[2])
# A gratuitous ARP: a request in which sender and target are the shared address (RFC 5227, section 3).
_ANNOUNCE = f"""
import socket
mac = bytes.fromhex(open("/sys/class/net/lan/address").read().strip().replace(":", ""))
address = socket.inet_aton("{SHARED}")
packet = (b"\\xff" * 6 + mac + bytes.fromhex("080600010800060400 01".replace(" ", "")) + mac + address + b"\\0" * 6
          + address)
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("lan", 0))
link.send(packet)
"""


class Network:
    """The namespaces and their processes."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []
        self._names = {place: f"wsdgateway-{place}-{os.getpid()}" for place in ADDRESSES}

    def build(self):
        """Makes the namespaces, and connects them."""
        for place in ADDRESSES:
            self._ip("netns", "add", self._names[place])
            self.run(place, "ip", "link", "set", "lo", "up")
        self.run(MIDDLE, "ip", "link", "add", "lan", "type", "bridge")
        for place in (SCANNER, *GATEWAYS):
            self._ip("link", "add", "lan", "netns", self._names[place], "type", "veth", "peer", "name", place,
                     "netns", self._names[MIDDLE])
            self.run(MIDDLE, "ip", "link", "set", place, "master", "lan", "up")
        for place, address in ADDRESSES.items():
            self.run(place, "ip", "address", "add", f"{address}/24", "dev", "lan")
            self.run(place, "ip", "link", "set", "lan", "up")

    def _ip(self, *arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def run(self, place, *command, check=True):
        """Runs a command in a namespace to its end. Returns its output."""
        return subprocess.run(["ip", "netns", "exec", self._names[place], *command], check=check, capture_output=True,
                              text=True, timeout=60, cwd=self.folder).stdout

    def start(self, place, *command):
        """Starts a process in a namespace; its output is in `process.log`."""
        path = Path(self.folder, f"{place}-{len(self.running)}.log")
        with path.open("wb") as output:
            # `ip netns exec` becomes the command, so a signal to the process reaches it.
            process = subprocess.Popen(["ip", "netns", "exec", self._names[place], *command], cwd=self.folder,
                                       stdout=output, stderr=subprocess.STDOUT,
                                       env={**os.environ, "PYTHONPATH": ROOT})
        process.log = path
        self.running.append(process)
        return process

    def twistd(self, place, plugin):
        """Starts a plugin of twistd on the configuration file that has the name of the place."""
        return self.start(place, program("twistd"), "-n", "--pidfile=", plugin, "--config", f"{place}.toml")

    def move_address(self, place):
        """Moves the shared address to that gateway, and announces it."""
        for one in GATEWAYS:
            self.run(one, "ip", "address", "del", f"{SHARED}/24", "dev", "lan", check=False)
        self.run(place, "ip", "address", "add", f"{SHARED}/24", "dev", "lan")
        self.run(place, sys.executable, "-c", _ANNOUNCE)

    def curl(self, place, url, *arguments):
        """Returns the answer of a URL, empty if there is none."""
        return self.run(place, "curl", "-s", "-m", "10", *arguments, url, check=False)

    def close(self):
        """Ends every process, and removes the namespaces. Returns the logs."""
        for process in reversed(self.running):
            if process.poll() is None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(60)
                process.kill()
                process.wait()
        for name in self._names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        return "".join(process.log.read_text(errors="replace") for process in self.running)


@contextmanager
def moving_address(folder):
    """The network, removed at the end; a traceback in a log of its processes fails the test."""
    made = Network(folder)
    try:
        made.build()
        yield made
    finally:
        logs = made.close()
    assert "Traceback" not in logs, logs
