"""Decides where a scanner is looked for, and when, from the addresses that it says it has.

WS-Discovery 2005/04, section 4.3, MetadataVersion; DPWS 2006/02, section 5.2. The location of one scanner::

             ┌──────────── not found, after a pause ───────────┐
             ▼                                                 │
    unknown ──sighted──► searching ────────────────────────────┘
      │                   ▲   │
      │ only link-local   │   └──found──► found ──sighted elsewhere, or changed──► found, and searching
      │ addresses         │                 ▲                                         │
      └──► waiting ───────┘                 └──── found there; or not, and it answers ┘
                                                  where it was found before
"""

from enum import Enum

from wsdgateway.bridge.discovery.backoff import Backoff
from wsdgateway.http.urls import is_ipv6, is_link_local

LONGEST_PAUSE = 10.0  # seconds, between tries at a device that answers, and is not ready, or no scanner
LINK_LOCAL_SECONDS = 1.0
MOST_ADDRESSES = 8  # of those that it says it has
MOST_AT_ONCE = 3  # searches: one at a new address need not wait until a former one has failed


class Next(Enum):
    """What a sighting leads to."""

    NOTHING = "nothing"
    STAY = "stay"  # it is where it was: no further try is needed
    WAIT = "wait"  # for a better address, for `LINK_LOCAL_SECONDS`; then search
    SEARCH = "search"  # search now


class Location:
    """The location of one scanner. `device` is where its metadata was found last, None before.

    `urls` are the addresses at which it is looked for, `via` the interface over which it has announced them; `backoff`
    has the pauses between searches.
    """

    def __init__(self) -> None:
        self.device: str | None = None
        self.urls: tuple[str, ...] = ()
        self.via = ""
        self.backoff = Backoff(LONGEST_PAUSE)
        self._searching: tuple[str, ...] | None = None
        self._running = 0

    # A search.

    def name(self, urls: tuple[str, ...]) -> bool:
        """Search at these addresses from now on, unless there are none; whether they are others than before."""
        if not urls or urls == self.urls:
            return False
        self.urls = urls
        self.backoff.reset()
        return True

    def begin(self) -> tuple[str, ...] | None:
        """Begin a search: the addresses to try in their order; None if there is none to be made now."""
        if self._searching == self.urls or not self.urls or self._running >= MOST_AT_ONCE:
            return None
        self._searching = self.urls
        self._running += 1
        return self.urls

    def is_current(self, urls: tuple[str, ...]) -> bool:
        """Return whether these are still the addresses to search; the scanner may have been sighted elsewhere."""
        return urls == self.urls

    def found(self, url: str) -> None:
        """The scanner's metadata was read at this address."""
        self.device = url
        self.backoff.reset()

    def end(self, urls: tuple[str, ...]) -> bool:
        """A search at these addresses is over; whether another one must begin, for which there was no room."""
        self._running -= 1
        if urls == self.urls:
            self._searching = None
            return False
        return self._searching != self.urls

    def is_still_at_former(self, *, reachable: bool | None) -> bool:
        """Return whether a search in vain does not matter, as the scanner answers where it was before."""
        return self.device is not None and self.device not in self.urls and bool(reachable)

    # A sighting.

    def sighted(self, addresses: tuple[str, ...], via: str, *, changed: bool, reachable: bool | None,
                is_waiting: bool) -> Next:
        """The scanner has said that it has these addresses, all of which can be used.

        `changed`: it may tell something else there than it did. `reachable`: whether it answered when last asked;
        None before that. `is_waiting`: a search will be made after a pause.
        """
        urls = tuple(sorted(addresses, key=lambda url: url != self.device))[:MOST_ADDRESSES]
        has_moved = bool(urls) and self._may_have_moved(urls, via, reachable)
        if changed and not has_moved and self.device is not None:
            urls = (self.device, *(url for url in urls if url != self.device))
        if not urls or not (changed or has_moved):
            if self.device not in urls or urls == self.urls:
                return Next.NOTHING
            self.urls = urls
            return Next.STAY
        is_for_later = self.device is None and all(map(is_link_local, urls))
        if is_for_later and self._running:
            return Next.NOTHING  # it is looked for at a better one
        if not changed and urls == self.urls and is_waiting:
            return Next.NOTHING
        self.via = via
        if is_for_later and not is_waiting:
            self.urls = urls
            return Next.WAIT
        self.name(urls)
        return Next.SEARCH

    def _may_have_moved(self, urls: tuple[str, ...], via: str, reachable: bool | None) -> bool:
        """Return whether the scanner has to be looked for at these addresses.

        One that is reached stays where it is, though it has addresses on other links, or of the other version of IP;
        but not at a link-local one, since it would have to notify the gateway at such a one, which it can't tell from
        another.
        """
        device = self.device
        if device is None or reachable is False:
            return True
        if is_link_local(device) and not any(map(is_link_local, urls)):
            return True
        alike = [url for url in urls if is_ipv6(url) == is_ipv6(device)]
        return via == self.via and bool(alike) and device not in alike
