"""The datagrams with which a service tells systemd its state, and the socket that they are sent to.

sd_notify(3), systemd.service(5) `Type=notify` and `WatchdogSec=`. The program has these few lines of its own, because
the package `sdnotify` has not been released since 2017, and would know neither the watchdog nor MONOTONIC_USEC.
"""

import os
import socket
from collections.abc import MutableMapping

import attrs
from twisted.logger import Logger

MAX_STATUS = 400  # characters of STATUS, which is shown in one line
SOCKET, INTERVAL, PROCESS = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


def message(**fields: object) -> bytes:
    """The datagram with these fields, one in a line; line breaks in values become spaces."""
    return "\n".join(f"{name}={' '.join(str(value).splitlines())}" for name, value in fields.items()).encode(
        "utf-8", "backslashreplace")


def status(text: str) -> dict[str, str]:
    """The field that holds the state in words, for `systemctl status`."""
    return {"STATUS": text[:MAX_STATUS]}


def address_of(place: str) -> str | None:
    """The address of `$NOTIFY_SOCKET`: a path, or an abstract name after "@"; None for another kind of socket."""
    if place.startswith("/") and len(place) > 1:
        return place
    return "\0" + place[1:] if place.startswith("@") and len(place) > 1 else None


@attrs.frozen
class Supervisor:
    """Systemd's address for messages (None: nowhere), and the watchdog's time in seconds, if any."""

    address: str | None = None
    watchdog: float | None = None

    @classmethod
    def take_from(cls, environment: MutableMapping[str, str], process: int) -> "Supervisor":
        """Read the variables for the process of that number, and remove them, since its children are not meant."""
        place, interval, pid = (environment.pop(name, "") for name in (SOCKET, INTERVAL, PROCESS))
        address = address_of(place)
        if address is None:
            if place:
                Logger().warn("$NOTIFY_SOCKET = {place}: must be a path, or a name after @; systemd is told nothing",
                              place=place)
            return cls()
        is_ours = not pid or pid == str(process)
        return cls(address, int(interval) / 1e6 if is_ours and interval.isdecimal() and int(interval) else None)


class NotifySocket:
    """Sends messages to an address, or nowhere if it is None. A failure is logged once, and changes nothing."""

    log = Logger()

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._socket = None if address is None else socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._failed = False

    @property
    def is_open(self) -> bool:
        """True if messages are sent anywhere."""
        return self._socket is not None

    def send(self, **fields: object) -> None:
        """Send one message with these fields."""
        if self._socket is None or self._address is None:
            return
        try:
            self._socket.sendto(message(**fields), self._address)
            self._failed = False
        except OSError as error:
            if not self._failed:
                self._failed = True
                self.log.warn("$NOTIFY_SOCKET: systemd cannot be told the state of the gateway: {error}",
                              error=os.strerror(error.errno or 0))

    def close(self) -> None:
        """Close the socket; later messages go nowhere."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
