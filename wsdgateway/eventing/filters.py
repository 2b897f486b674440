"""Reads and applies a subscriber's filter: the Action filter of DPWS.

WS-Eventing 2004/08, section 3.1 (Filter); DPWS 2006/02, section 6.1.1 (filtering by Action): a list of URIs, one of
which must be the action or a prefix of it, segment by segment as in WS-Discovery 2005/04, section 5.1.
"""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

import attrs
from lxml import etree

from wsdgateway.eventing.faults import filter_action_not_supported, filtering_unavailable, invalid_message
from wsdgateway.soap.faults import Refused
from wsdgateway.soap.namespaces import WSDP
from wsdgateway.soap.parsing import text_of

MAX_ITEMS = 64
ACTION_FILTER = f"{WSDP}/Action"


@attrs.frozen
class ActionFilter:
    """The wanted actions: URIs of actions, or prefixes of them; None for all."""

    wanted: tuple[str, ...] | None = None

    def matches(self, action: str) -> bool:
        """Return whether a notification with this action is wanted."""
        return self.wanted is None or _matches(self.wanted, action)

    def names(self, action: str) -> bool:
        """Return whether the list names exactly this action."""
        return self.wanted is not None and action in self.wanted


@lru_cache(maxsize=4096)
def _matches(wanted: tuple[str, ...], action: str) -> bool:
    return any(is_prefix(item, action) for item in wanted)


def is_prefix(prefix: str, uri: str) -> bool:
    """Return whether a URI is the beginning of another, segment by segment, or equal to it."""
    if prefix == uri:
        return True
    if not uri.startswith(prefix[:4]):  # cheap, and rules out nearly all URIs of other schemes
        return False
    try:
        first, second = urlsplit(prefix), urlsplit(uri)
    except ValueError:
        return False
    if (first.scheme, first.netloc.lower()) != (second.scheme, second.netloc.lower()) or not first.netloc:
        return False
    if first.query or first.fragment:
        return False
    segments, other = _segments(first), _segments(second)
    return other[:len(segments)] == segments


def _segments(uri: SplitResult) -> list[str]:
    return uri.path.strip("/").split("/") if uri.path.strip("/") else []


def read_filter(element: etree._Element | None, spellings: Mapping[str, str]) -> ActionFilter:
    """The filter in a Filter element, or one for all events if there is none.

    `spellings` maps every notation of an event, including its bare name, to its action. Raises `Refused` for another
    dialect, and for a list that matches none of these events.
    """
    if element is None:
        return ActionFilter()
    dialect = element.get("Dialect")
    if dialect is not None and dialect.strip() != ACTION_FILTER:
        raise Refused(filtering_unavailable(ACTION_FILTER))
    items = (text_of(element) or "").split(maxsplit=MAX_ITEMS)
    if len(items) > MAX_ITEMS:
        raise Refused(invalid_message(f"The Filter contains more than {MAX_ITEMS} URIs; send fewer, or prefixes of "
                                      "them."))
    prefixes = element.nsmap
    wanted = ActionFilter(tuple(dict.fromkeys(_spelled(item, prefixes, spellings) for item in items)))
    if not any(wanted.matches(action) for action in set(spellings.values())):
        raise Refused(filter_action_not_supported())
    return wanted


def _spelled(item: str, prefixes: Mapping[str | None, str], spellings: Mapping[str, str]) -> str:
    prefix, colon, local = item.rpartition(":")
    if colon and prefix in prefixes:
        item = f"{prefixes[prefix]}/{local}"
    return spellings.get(item, item)
