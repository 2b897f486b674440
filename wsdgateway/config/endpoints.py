r"""Server endpoint strings with TLS, read into what they say: where to listen, and the files.

Twisted's `ssl:` endpoints look for their files in the folder that the process runs in, never read them again, and let
old versions of TLS in; what such a string says is therefore done as for the keys `certificate` and `key`. The syntax is
Twisted's: parts between colons, `\` before a colon that is none.
"""

import re
from pathlib import Path
from typing import Protocol

import attrs
from twisted.internet.abstract import isIPAddress, isIPv6Address

from wsdgateway.tls.identity import IdentityFiles

_PART = re.compile(r"(?:\\.|[^:\\])+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_KEYS = ("port", "interface", "backlog", "privateKey", "certKey", "extraCertChain")
MAX_PORT = 65535
MAX_BACKLOG = 65535  # Linux takes less: net.core.somaxconn


class BadEndpoint(ValueError):
    """An `ssl:` string that can't be used; the text says why."""


@attrs.frozen
class SslEndpoint:
    """What an `ssl:` string says: `tcp` for the port alone, and the names of the files as they are written."""

    tcp: str
    certificate: str
    key: str
    chain: str | None = None


def is_ssl(endpoint: object) -> bool:
    """Whether that is an endpoint string with TLS."""
    return isinstance(endpoint, str) and endpoint.startswith("ssl:")


def read_ssl(endpoint: str) -> SslEndpoint:
    """What the string says. Raises `BadEndpoint`."""
    given: dict[str, str] = {}
    for position, part in enumerate(_PART.findall(endpoint.removeprefix("ssl:"))):
        key, equals, value = part.partition("=")
        if not equals and position == 0:
            key, value = "port", part
        if key not in _KEYS or key in given:
            raise BadEndpoint(f"its parts must be {', '.join(_KEYS)}, each once, and {key} is none")
        given[key] = _ESCAPED.sub(r"\1", value)
    if not given.get("port", "").isdigit():
        raise BadEndpoint("a port is missing")
    key_file = given.get("privateKey", "server.pem")
    tcp = ["tcp", *(f"{name}={_escape(given[name])}" for name in ("port", "interface", "backlog") if name in given)]
    return SslEndpoint(":".join(tcp), given.get("certKey", key_file), key_file, given.get("extraCertChain"))


def problem_of(endpoint: str) -> str | None:
    """The problem of an endpoint string that Twisted can parse but not listen at: a number or address out of range.

    None if there is none. The text completes "with": "a port between 0 and 65535".
    """
    kind, _, rest = endpoint.partition(":")
    if kind not in ("tcp", "tcp4", "tcp6", "ssl", "unix"):
        return None
    given: dict[str, str] = {}
    for position, part in enumerate(_PART.findall(rest)):
        key, equals, value = part.partition("=")
        if not equals and position == 0:
            key, value = "port", part
        given[key] = _ESCAPED.sub(r"\1", value)
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


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(":", "\\:")


class Listening(Protocol):
    """A section of the configuration that says where to listen, and with which files if it is with TLS."""

    @property
    def endpoint(self) -> str: ...

    @property
    def certificate(self) -> str | None: ...

    @property
    def key(self) -> str | None: ...

    @property
    def client_ca(self) -> str | None: ...


def plain_endpoint(section: Listening) -> str:
    """The endpoint string of the port alone."""
    return read_ssl(section.endpoint).tcp if is_ssl(section.endpoint) else section.endpoint


def identity_files(section: Listening, folder: Path) -> IdentityFiles | None:
    """The files of a section with TLS; None for one without."""
    client_ca = folder / section.client_ca if section.client_ca else None
    if is_ssl(section.endpoint):
        ssl = read_ssl(section.endpoint)
        return IdentityFiles(folder / ssl.certificate, folder / ssl.key, client_ca,
                             folder / ssl.chain if ssl.chain else None)
    if section.certificate is None:
        return None
    return IdentityFiles(folder / section.certificate, folder / (section.key or section.certificate), client_ca)
