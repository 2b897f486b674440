"""Matches target services against Probes: types, and scopes by each of the matching rules.

WS-Discovery 2005/04, section 5.1; 1.1, section 5.1. RFC 2396 section 6, RFC 4514.
"""

from collections.abc import Callable, Iterable
from urllib.parse import SplitResult, unquote, urlsplit
from uuid import UUID

from wsdgateway.discovery.versions import VERSIONS, WS_2005_04, WS_2008_09, WS_2009_01

# 1.1, section 5.1: matches services without scopes. 2005/04 does not have this rule.
_NONE = {f"{version.uri}/none" for version in (WS_2008_09, WS_2009_01)}

# The scopes implied for services without scopes. 2005/04, section 5.1; 1.1, section 5.1.
_IMPLIED = (f"{WS_2005_04.uri}/adhoc", *(f"{version.uri}/DefaultScope" for version in (WS_2008_09, WS_2009_01)))

QName = tuple[str, str]


class UnknownRule(Exception):
    """The rule by which the scopes are to be matched is unknown."""


def _uri(wanted: str, scope: str) -> bool:
    """True if `wanted` equals `scope` or is a prefix of it by whole segments; neither may contain `.` or `..`."""
    try:
        first, second = urlsplit(wanted), urlsplit(scope)
    except ValueError:
        return False
    if (first.scheme.lower(), first.netloc.lower()) != (second.scheme.lower(), second.netloc.lower()):
        return False
    left, right = _segments(first), _segments(second)
    if {".", ".."} & {*left, *right}:
        return False
    return right[:len(left)] == left


def _segments(uri: SplitResult) -> list[str]:
    return [unquote(segment) for segment in uri.path.strip("/").split("/")] if uri.path.strip("/") else []


def _uuid(wanted: str, scope: str) -> bool:
    try:
        return UUID(wanted) == UUID(scope)
    except ValueError:
        return False


def _ldap(wanted: str, scope: str) -> bool:
    """True if every part of the wanted name is at the root of the scope's name, which RFC 4514 writes last."""
    try:
        left, right = ([part.strip() for part in urlsplit(uri).path.strip("/").split(",")] for uri in (wanted, scope))
    except ValueError:
        return False
    return bool(left) and [part.lower() for part in right[-len(left):]] == [part.lower() for part in left]


_RULES: dict[str, Callable[[str, str], bool]] = {
    "rfc2396": _uri, "rfc3986": _uri, "uuid": _uuid, "ldap": _ldap, "strcmp0": lambda wanted, scope: wanted == scope}


def matches(types: Iterable[QName], scopes: Iterable[str], match_by: str | None, *, offered_types: Iterable[QName],
            offered_scopes: Iterable[str]) -> bool:
    """True if every wanted type is offered, and every wanted scope is matched by one of those offered.

    `match_by` is the rule's URI, None for the default rule. Raises `UnknownRule`.
    """
    wanted_scopes, offered = list(scopes), list(offered_scopes)
    is_none = match_by is not None and match_by.strip() in _NONE
    rule = _uri if is_none else _rule(match_by)
    if not set(types) <= set(offered_types):
        return False
    if is_none:
        return not offered
    offered = offered or list(_IMPLIED)
    return all(any(rule(wanted, scope) for scope in offered) for wanted in wanted_scopes)


def check_rule(match_by: str | None) -> None:
    """Raises `UnknownRule` if scopes cannot be matched by this rule."""
    if match_by is None or match_by.strip() not in _NONE:
        _rule(match_by)


def _rule(match_by: str | None) -> Callable[[str, str], bool]:
    if match_by is None:
        return _uri
    uri, _, name = match_by.strip().rpartition("/")
    if name not in _RULES or uri not in {version.uri for version in VERSIONS}:
        raise UnknownRule(match_by)
    return _RULES[name]
