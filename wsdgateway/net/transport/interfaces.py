"""Polls the host's network interfaces, whose addresses come, go and change while the gateway runs."""

from collections.abc import Callable
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import Any

import attrs
import ifaddr
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

POLL_SECONDS = 2.0

Address = IPv4Interface | IPv6Interface


@attrs.frozen
class Interface:
    """A network interface; its index changes when it is recreated. Link-local addresses have no scope."""

    name: str
    index: int
    addresses: tuple[Address, ...]

    def holds(self, host: str) -> bool:
        """True if a host can be on this link, in one of its networks; any other source address is forged.

        On loopback the sender may have any address of this host. An address whose network has no other addresses says
        nothing about its neighbours.
        """
        address = ip_address(host.partition("%")[0])
        return address.is_link_local or any(
            address in own.network or own.is_loopback
            or (own.network.num_addresses == 1 and own.version == address.version) for own in self.addresses)

    def speaks(self, version: int) -> bool:
        """True if it can take part in multicast by that version of IP; IPv6 needs a link-local address."""
        return any(address.version == version and (version == 4 or address.is_link_local) for address in self.addresses)


def read_interfaces() -> dict[str, Interface]:
    """Read all interfaces that have an address, by name. Raises `OSError`."""
    found: dict[str, Interface] = {}
    for adapter in ifaddr.get_adapters():
        name = str(adapter.name).partition(":")[0]  # eth0:1 is an address of eth0
        index = adapter.index or (found[name].index if name in found else 0)
        addresses = tuple(ip_interface(f"{ip.ip[0] if ip.is_IPv6 else ip.ip}/{ip.network_prefix}")
                          for ip in adapter.ips)
        before = found[name].addresses if name in found else ()
        found[name] = Interface(name, index, (*before, *addresses))
    return found


class InterfaceWatch:
    """Polls the named interfaces: calls `look` with those that exist, at `start` and every `POLL_SECONDS`.

    `names` None stands for all interfaces. `all` holds the names of every interface of the host.
    """

    log = Logger()

    def __init__(self, reactor: Any, names: tuple[str, ...] | None, look: Callable[[dict[str, Interface]], None],
                 read: Callable[[], dict[str, Interface]] = read_interfaces) -> None:
        self._names = names
        self._look_at = look
        self.all: tuple[str, ...] = ()
        self._read = read
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    def start(self) -> None:
        """Start polling."""
        looking = self._looking.start(POLL_SECONDS)
        looking.addErrback(lambda failure: self.log.failure("Reading the network interfaces failed", failure))

    def stop(self) -> None:
        """Stop polling."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        try:
            everything = self._read()
            self.all = tuple(everything)
            names = self.all if self._names is None else self._names
            self._look_at({name: everything[name] for name in names if name in everything})
        except Exception:  # the next poll may succeed
            self.log.failure("Reading the network interfaces failed")
