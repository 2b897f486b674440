"""Avahi in a network namespace: a message bus and an avahi-daemon of its own, and what avahi-browse finds there."""

import os
import re
import socket
from contextlib import suppress
from pathlib import Path

import attrs

# A bus on which everything is allowed: Avahi's policy is installed for the system bus only.
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_type="method_return"/><allow send_type="error"/><allow receive_type="method_call"/>
<allow receive_type="signal"/><allow receive_type="method_return"/><allow receive_type="error"/></policy></busconfig>
"""
_AVAHI = """[server]
host-name={host}
use-ipv4=yes
use-ipv6=yes
allow-interfaces={interfaces}
ratelimit-interval-usec=1000000
ratelimit-burst=1000
[wide-area]
enable-wide-area=no
[publish]
publish-workstation=no
publish-hinfo=no
"""
# The daemon's socket and process id are in /run, which namespaces share.
_OWN_RUN = 'mount -t tmpfs tmpfs /run/avahi-daemon && exec "$@"'


@attrs.frozen
class Found:
    """One resolved line of avahi-browse."""

    interface: str
    version: int
    name: str
    host: str
    address: str
    port: int
    txt: tuple[str, ...]


class Avahi:
    """An avahi-daemon in one namespace of the network, on some of its interfaces."""

    def __init__(self, network, place, *interfaces):
        self._network, self.place = network, place
        folder = Path(network.folder, f"avahi-{place}")
        folder.mkdir()
        bus = folder / "bus"
        Path(folder, "bus.conf").write_text(_BUS.format(path=bus))
        Path(folder, "avahi.conf").write_text(_AVAHI.format(host=place, interfaces=",".join(interfaces)))
        self.bus = f"unix:path={bus}"
        Path("/run/avahi-daemon").mkdir(exist_ok=True)
        network.start(place, "dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork", "--nopidfile", log="bus")
        self._socket = bus
        self._command = ("env", f"DBUS_SYSTEM_BUS_ADDRESS={self.bus}", "unshare", "--mount", "sh", "-c", _OWN_RUN,
                         "sh", "avahi-daemon", "--no-drop-root", "--no-chroot", "--no-rlimits", "-f",
                         str(folder / "avahi.conf"))

    def start(self, until):
        """Starts the daemon, and waits until it answers."""
        until(lambda: _answers(self._socket))
        self.process = self._network.start(self.place, *self._command, log="avahi")
        until(lambda: "Server startup complete" in self.process.log.read_text(errors="replace"))
        return self

    def browse(self, service="_uscan._tcp"):
        """Returns what avahi-browse resolves."""
        output = self.run("avahi-browse", "-rpt", service).stdout
        found = []
        for line in output.splitlines():
            parts = line.split(";")
            if parts[0] == "=":
                found.append(Found(parts[1], 4 if parts[2] == "IPv4" else 6, _plain(parts[3]), parts[6], parts[7],
                                   int(parts[8]), tuple(re.findall(r'"((?:[^"\\]|\\.)*)"', ";".join(parts[9:])))))
        return found

    def names(self, service="_uscan._tcp"):
        """Returns the instance names that avahi-browse lists, without resolving them."""
        output = self.run("avahi-browse", "-pt", service).stdout
        return {_plain(line.split(";")[3]) for line in output.splitlines() if line.startswith("+")}

    def run(self, *command, **more):
        """Runs a client of this Avahi to its end."""
        return self._network.run(self.place, *command, check=False,
                                 env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.bus, **more})


def _answers(path):
    """Whether a socket accepts connections: it exists a moment before."""
    with socket.socket(socket.AF_UNIX) as trying:
        return trying.connect_ex(str(path)) == 0


def _plain(text):
    """A name without the escapes of avahi-browse, which are decimal numbers of bytes."""
    data = re.sub(rb"\\(\d{3})", lambda found: bytes((int(found[1]),)), text.encode())
    with suppress(UnicodeDecodeError):
        return re.sub(r"\\(.)", r"\1", data.decode())
    return text
