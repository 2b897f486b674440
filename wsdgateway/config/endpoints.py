r"""Parses server endpoint strings with TLS into the listening address and the files.

Twisted's own `ssl:` endpoints look for files in the process's working directory, never read them again, and accept old
versions of TLS. Such a string is therefore treated like the keys `certificate` and `key`. The syntax is Twisted's:
parts separated by colons, with `\` before a literal colon.
"""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

import attrs
from twisted.internet.abstract import isIPAddress, isIPv6Address

from wsdgateway.tls.identity import IdentityFiles

_PART = re.compile(r"(?:\\.|[^:\\])+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_KEYS = ("port", "interface", "backlog", "privateKey", "certKey", "extraCertChain")
MAX_PORT = 65535
MAX_BACKLOG = 65535  # Linux caps it at net.core.somaxconn


class BadEndpoint(ValueError):
    """An `ssl:` string that cannot be used; the text says why."""


@attrs.frozen
class SslEndpoint:
    """A parsed `ssl:` string: `tcp` is the endpoint string without TLS; the file names are unchanged."""

    tcp: str
    certificate: str
    key: str
    chain: str | None = None


def is_ssl(endpoint: object) -> bool:
    """True for an endpoint string with TLS."""
    return isinstance(endpoint, str) and endpoint.startswith("ssl:")


def read_ssl(endpoint: str) -> SslEndpoint:
    """Parses an `ssl:` string. Raises `BadEndpoint`."""
    given: dict[str, str] = {}
    for position, part in enumerate(_PART.findall(endpoint.removeprefix("ssl:"))):
        key, equals, value = part.partition("=")
        if not equals and position == 0:
            key, value = "port", part
        if key not in _KEYS or key in given:
            raise BadEndpoint(f"its parts must be {', '.join(_KEYS)}, each once; {key} is not one of them")
        given[key] = _ESCAPED.sub(r"\1", value)
    if not given.get("port", "").isdigit():
        raise BadEndpoint("the port is missing")
    key_file = given.get("privateKey", "server.pem")
    tcp = ["tcp", *(f"{name}={_escape(given[name])}" for name in ("port", "interface", "backlog") if name in given)]
    return SslEndpoint(":".join(tcp), given.get("certKey", key_file), key_file, given.get("extraCertChain"))


def problem_of(endpoint: str) -> str | None:
    """Checks an endpoint string that Twisted can parse for numbers and addresses that it cannot listen on.

    Returns None if there is no problem. The text completes "with": "a port between 0 and 65535".
    """
    kind, _, rest = endpoint.partition(":")
    if kind not in ("tcp", "tcp4", "tcp6", "ssl", "unix"):
        return None
    given = _parts(rest)
    numbers = [("backlog", 1, MAX_BACKLOG)] if kind == "unix" else [("port", 0, MAX_PORT), ("backlog", 1, MAX_BACKLOG)]
    for key, lowest, highest in numbers:
        if key in given and not (given[key].isascii() and given[key].isdigit() and len(given[key]) < 9
                                 and lowest <= int(given[key]) <= highest):
            return f"a {key} between {lowest} and {highest}"
    if kind == "unix":
        mode = given.get("mode", "666")
        return None if re.fullmatch("[0-7]{1,4}", mode) else "a mode between 0 and 7777, in octal"
    address = given.get("interface", "")
    return None if not address or isIPAddress(address) or isIPv6Address(address) else "an IP address as interface"


def listening_place(endpoint: str) -> tuple[str, int] | None:
    """Returns the interface and port of a valid endpoint string; None without IP, and for port 0, any free one.

    The interface is in its usual spelling, `0.0.0.0` or `::` for all.
    """
    kind, _, rest = endpoint.partition(":")
    given = _parts(rest)
    if kind not in ("tcp", "tcp4", "tcp6", "ssl") or not int(given["port"]):
        return None
    address, percent, zone = (given.get("interface") or ("::" if kind == "tcp6" else "0.0.0.0")).partition("%")
    return f"{ip_address(address)}{percent}{zone}", int(given["port"])


def interface_of(endpoint: str) -> str | None:
    """Returns the interface of a valid endpoint string, `0.0.0.0` or `::` for all; None without IP."""
    kind, _, rest = endpoint.partition(":")
    if kind not in ("tcp", "tcp4", "tcp6", "ssl"):
        return None
    return _parts(rest).get("interface") or ("::" if kind == "tcp6" else "0.0.0.0")


def tcp_endpoint(port: int, interface: str) -> str:
    """Returns the endpoint string for a port on an interface, an IP address."""
    kind = "tcp6" if ":" in interface else "tcp"
    return f"{kind}:{port}:interface={_escape(interface)}"


def _parts(rest: str) -> dict[str, str]:
    """The parts of an endpoint string after its kind; the first may be a port without `port=`."""
    given: dict[str, str] = {}
    for position, part in enumerate(_PART.findall(rest)):
        key, equals, value = part.partition("=")
        if not equals and position == 0:
            key, value = "port", part
        given[key] = _ESCAPED.sub(r"\1", value)
    return given


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(":", "\\:")


class Certified(Protocol):
    """A configuration section with certificate files, if TLS is used."""

    @property
    def certificate(self) -> str | None: ...

    @property
    def key(self) -> str | None: ...


class Listening(Protocol):
    """A configuration section with a listening address, and with certificate files if TLS is used."""

    @property
    def endpoint(self) -> str: ...

    @property
    def certificate(self) -> str | None: ...

    @property
    def key(self) -> str | None: ...

    @property
    def client_ca(self) -> str | None: ...


def plain_endpoint(section: Listening) -> str:
    """Returns the endpoint string without TLS."""
    return read_ssl(section.endpoint).tcp if is_ssl(section.endpoint) else section.endpoint


def identity_files(section: Listening, folder: Path) -> IdentityFiles | None:
    """Returns the TLS files of a section; None if it does not use TLS."""
    client_ca = folder / section.client_ca if section.client_ca else None
    if is_ssl(section.endpoint):
        ssl = read_ssl(section.endpoint)
        return IdentityFiles(folder / ssl.certificate, folder / ssl.key, client_ca,
                             folder / ssl.chain if ssl.chain else None)
    own = own_identity_files(section, folder)
    return None if own is None else IdentityFiles(own.certificate, own.key, client_ca)


def own_identity_files(section: Certified, folder: Path) -> IdentityFiles | None:
    """Returns the files of the keys `certificate` and `key`; None without TLS."""
    if section.certificate is None:
        return None
    return IdentityFiles(folder / section.certificate, folder / (section.key or section.certificate))
