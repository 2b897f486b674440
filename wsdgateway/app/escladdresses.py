"""Selects the addresses of this host at which eSCL clients reach the scanners' ports. `[escl] interface`."""

from collections.abc import Iterator

from wsdgateway.config.endpoints import interface_of
from wsdgateway.config.sections import Config, Escl
from wsdgateway.net.transport.interfaces import Interface
from wsdgateway.net.transport.localaddress import ANY

MAX_ADDRESSES = 32  # that a scanner's port is opened on


def addresses_to_open(config: Config, interfaces: dict[str, Interface]) -> list[str]:
    """The addresses for eSCL clients: those of the `[[listen]]` sections, without the ones on the scanners' side.

    "0.0.0.0" or "::" stands for all. Link-local IPv6 addresses of client interfaces, where some clients look first, are
    added, with their zones.
    """
    escl, discovery = config.escl or Escl(), config.discovery
    if escl.interface:
        return [escl.interface]
    scanners_side = set(discovery.device_interfaces) - set(discovery.client_interfaces)
    left_out = {str(address.ip) for name in scanners_side & set(interfaces) for address in interfaces[name].addresses}
    listened = [interface for listen in config.listen if (interface := interface_of(listen.endpoint)) is not None]
    if "::" in listened and not scanners_side:
        return ["::"]
    found: dict[str, None] = {}
    for interface in listened:
        if interface in ANY and scanners_side:
            found |= dict.fromkeys(_all(interfaces, left_out, with_ipv6=interface == "::"))
        elif interface.partition("%")[0] not in left_out:
            found[interface] = None
    if "0.0.0.0" in found:
        found = {one: None for one in found if one == "0.0.0.0" or ":" in one}
    link_local = (f"{address.ip}%{name}" for name in discovery.client_interfaces if name in interfaces
                  for address in interfaces[name].addresses if address.version == 6 and address.is_link_local)
    return list({**found, **dict.fromkeys(link_local)})[:MAX_ADDRESSES]


def _all(interfaces: dict[str, Interface], left_out: set[str], *, with_ipv6: bool) -> Iterator[str]:
    for name, one in interfaces.items():
        for address in one.addresses:
            if str(address.ip) not in left_out and (address.version == 4 or with_ipv6):
                yield f"{address.ip}%{name}" if address.version == 6 and address.is_link_local else str(address.ip)
