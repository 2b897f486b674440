"""Checks request targets and Host fields, and extracts path and authority from a target.

RFC 9112 sections 3.2 and 3.3; RFC 3986 section 3.2.2.
"""

import re

# RFC 3986 section 3.2.2, as far as RFC 9112 section 3.2 allows it in Host: no user, and a zone in any notation.
# Possessive quantifiers (++, *+) prevent backtracking, with which sixteen kilobytes could take minutes.
_AUTHORITY = (rb"(?:\[(?:(?=[0-9A-Fa-f.]*:)[0-9A-Fa-f:.]++(?:%[A-Za-z0-9._~%-]++)?"
              rb"|[vV][0-9A-Fa-f]++\.[A-Za-z0-9._~!$&'()*+,;=:-]++)\]"
              rb"|(?:[A-Za-z0-9._~!$&'()*+,;=-]++|%[0-9A-Fa-f]{2})*+)(?::[0-9]*+)?")
HOST = re.compile(_AUTHORITY)
_ABSOLUTE = re.compile(rb"https?://(?![/?:])(" + _AUTHORITY + rb")(/[^?]*)?(?:\?.*)?", re.IGNORECASE | re.DOTALL)


class BadTarget(Exception):
    """The request target or Host is not valid; the text says why."""


def path_of(target: bytes) -> bytes:
    """The path of a target without its query, as far as the target can be parsed."""
    absolute = _ABSOLUTE.fullmatch(target)
    return target.partition(b"?")[0] if absolute is None else absolute[2] or b"/"


def resolve(method: bytes, target: bytes, hosts: list[bytes], http10: bool) -> tuple[bytes, bytes]:
    """The requested path and host; `hosts` are the values of the request's Host fields.

    There must be exactly one Host, even if an absolute target overrides it. HTTP/1.0 may omit it; then the host is
    empty. Raises `BadTarget`.
    """
    if len(hosts) > 1 or (not hosts and not http10):
        raise BadTarget("A request must have exactly one Host field.")
    if hosts and not HOST.fullmatch(hosts[0]):
        raise BadTarget("The Host field must be a host with an optional port.")
    host = hosts[0] if hosts else b""
    if method == b"CONNECT":
        return target, host
    if b"#" in target:
        raise BadTarget("A request target must not have a fragment.")
    if target[:1] == b"/":
        return target.partition(b"?")[0], host
    if target == b"*" and method == b"OPTIONS":
        return target, host
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadTarget("The request target must be a path or an http URL.")
    return absolute[2] or b"/", absolute[1]
