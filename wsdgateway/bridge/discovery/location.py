"""Decides where and when to search for a scanner, based on the addresses that it announces.

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

LONGEST_PAUSE = 10.0  # seconds between attempts at a device that answers but is not ready, or is not a scanner
LINK_LOCAL_SECONDS = 1.0
MOST_ADDRESSES = 8  # of those announced
MOST_AT_ONCE = 3  # searches: one at a new address need not wait until a former one has failed


class Next(Enum):
    """The reaction to a sighting."""

    NOTHING = "nothing"
    STAY = "stay"  # it is where it was: no further attempt is needed
    WAIT = "wait"  # for a better address, for `LINK_LOCAL_SECONDS`; then search
    SEARCH = "search"  # search now


class Location:
    """The location of one scanner. `device` is the address at which its metadata was last found, None before that.

    `urls` are the addresses at which it is searched for, `via` is the interface on which it has announced them;
    `backoff` determines the pauses between searches.
    """

    def __init__(self) -> None:
        self.device: str | None = None
        self.urls: tuple[str, ...] = ()
        self.via = ""
        self.backoff = Backoff(LONGEST_PAUSE)
        self._searching: tuple[str, ...] | None = None
        self._running = 0

    # Searches.

    def name(self, urls: tuple[str, ...]) -> bool:
        """Sets the addresses to search, unless there are none; returns True if they have changed."""
        if not urls or urls == self.urls:
            return False
        self.urls = urls
        self.backoff.reset()
        return True

    def begin(self) -> tuple[str, ...] | None:
        """Begins a search; returns the addresses to try, in order, or None if no search is to be made now."""
        if self._searching == self.urls or not self.urls or self._running >= MOST_AT_ONCE:
            return None
        self._searching = self.urls
        self._running += 1
        return self.urls

    def is_current(self, urls: tuple[str, ...]) -> bool:
        """True if these are still the addresses to search; the scanner may have been sighted elsewhere."""
        return urls == self.urls

    def found(self, url: str) -> None:
        """Notes that the scanner's metadata was read at this address."""
        self.device = url
        self.backoff.reset()

    def end(self, urls: tuple[str, ...]) -> bool:
        """Ends a search at these addresses; returns True if another one must begin, for which there was no room."""
        self._running -= 1
        if urls == self.urls:
            self._searching = None
            return False
        return self._searching != self.urls

    def is_still_at_former(self, *, reachable: bool | None) -> bool:
        """True if an unsuccessful search does not matter, because the scanner still answers at its former address."""
        return self.device is not None and self.device not in self.urls and bool(reachable)

    # Sightings.

    def sighted(self, addresses: tuple[str, ...], via: str, *, changed: bool, reachable: bool | None,
                is_waiting: bool) -> Next:
        """Processes the scanner's announcement of these addresses, all of which are usable.

        `changed`: its metadata there may have changed. `reachable`: whether it answered the last request; None before
        the first one. `is_waiting`: a search is scheduled after a pause.
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
            return Next.NOTHING  # a search at a better address is running
        if not changed and urls == self.urls and is_waiting:
            return Next.NOTHING
        self.via = via
        if is_for_later and not is_waiting:
            self.urls = urls
            return Next.WAIT
        self.name(urls)
        return Next.SEARCH

    def _may_have_moved(self, urls: tuple[str, ...], via: str, reachable: bool | None) -> bool:
        """True if the scanner has to be searched for at these addresses.

        A scanner that is reachable stays where it is, even if it has addresses on other links, or of the other IP
        version. The exception is a link-local address: the scanner would have to notify the gateway at a link-local
        address, too, whose link it cannot determine.
        """
        device = self.device
        if device is None or reachable is False:
            return True
        if is_link_local(device) and not any(map(is_link_local, urls)):
            return True
        alike = [url for url in urls if is_ipv6(url) == is_ipv6(device)]
        return via == self.via and bool(alike) and device not in alike
