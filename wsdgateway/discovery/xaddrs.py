"""XAddrs with host names: the sender's own address takes the place of a name, which is never looked up.

WS-Discovery 2005/04, section 4.1 (XAddrs). Some scanners announce themselves by a host name that no name server knows;
and what is heard on a link can be forged, so a name in it must not send the gateway to another host.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit

import attrs

from wsdgateway.discovery.messages import Message


def placed(message: Message, sender: str, known: str = "") -> Message:
    """The message with addresses that can be called: see `at_sender`."""
    if not sender or not isinstance(message.content, tuple):
        return message
    return attrs.evolve(message, content=tuple(
        attrs.evolve(service, xaddrs=at_sender(service.xaddrs, sender, known)) for service in message.content))


def at_sender(xaddrs: tuple[str, ...], sender: str, known: str = "") -> tuple[str, ...]:
    """The XAddrs of a message, each once, with the IP address of its `sender` in the place of host names.

    So it is with the unspecified address (0.0.0.0), and where there is no host. The host name `known`, which the
    administrator has given, stays. Port, path and scheme stay; what is no web address stays as it is.
    """
    return tuple(dict.fromkeys(_at_sender(xaddr, sender, known.lower()) for xaddr in xaddrs))


def _at_sender(xaddr: str, sender: str, known: str) -> str:
    try:
        parts = urlsplit(xaddr)
        host, port = parts.hostname, parts.port
    except ValueError:
        return xaddr
    if parts.scheme not in ("http", "https") or _is_place(host) or (host and host == known):
        return xaddr
    place = f"[{sender}]" if ":" in sender else sender
    return urlunsplit(parts._replace(netloc=place if port is None else f"{place}:{port}"))


def _is_place(host: str | None) -> bool:
    """Whether a host is the IP address of some place."""
    try:
        return not ip_address(host or "").is_unspecified
    except ValueError:
        return False
