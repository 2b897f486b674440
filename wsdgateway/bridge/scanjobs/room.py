"""Counts the bytes in the spool, which all scanners' jobs share, and tells when there is room again.

Pages for the gateway itself are not in the spool, but in the folders of destinations. Each of them is kept elsewhere as
soon as it is complete, so that only the arriving ones count, and only against each other.
"""

from collections import Counter
from collections.abc import Callable

from wsdgateway.bridge.scanjobs.scanjob import Page

CLIENT_SHARE = 0.5  # of the spool, which the pages of one client may use
OWN_BYTES = 2 << 30  # of arriving pages for the gateway itself
OWN = ""  # the gateway itself as a client


class Room:
    """The room in the spool, `limit` bytes. `used` is the part in use, `unfetched` the part that no client has yet.

    The pages of one client may use `client_limit` bytes, without it `limit`; clients for which `group` returns the same
    name count as one. `waiting` holds functions that are called when bytes become free.
    """

    def __init__(self, limit: int, client_limit: int | None = None, group: Callable[[str], str] = str) -> None:
        self.limit = limit
        self.client_limit = limit if client_limit is None else client_limit
        self.used = 0
        self.unfetched = 0
        self.waiting: list[Callable[[], None]] = []
        self._group = group
        self._used_by: Counter[str] = Counter()

    def resize(self, limit: int, client_limit: int) -> None:
        """Change both limits. Pages that are there already stay, also if they are larger together."""
        self.limit, self.client_limit = limit, client_limit
        self.tell()

    def used_by(self, client: str) -> int:
        """The bytes that the pages of a client use."""
        return self._used_by[self._group(client)]

    def limit_of(self, client: str) -> int:
        """The bytes that the pages of a client may use."""
        return OWN_BYTES if client == OWN else self.client_limit

    def fits(self, size: int, client: str = "") -> bool:
        """True if a page of about that size can be begun for a client; an unknown size is 0."""
        size = max(1, size)
        has_room = client == OWN or self.used + size <= self.limit
        return has_room and self.used_by(client) + size <= self.limit_of(client)

    def take(self, page: Page, size: int) -> bool:
        """Take this many bytes for a page; returns False if there is no room for them."""
        if not self.fits(size, page.client):
            return False
        self.add(page, size)
        return True

    def add(self, page: Page, size: int) -> None:
        """Take this many bytes for a page that has not been fetched, even if there is no room for them."""
        if page.client != OWN:
            self.used += size
            self.unfetched += size
        page.taken += size
        self._used_by[self._group(page.client)] += size

    def fetched(self, page: Page) -> None:
        """Count a page as received by its client; it stays in the spool."""
        if not page.sent:
            page.sent = True
            if page.client != OWN:
                self.unfetched -= page.taken

    def free(self, page: Page) -> None:
        """Free the bytes of a page, whose file is deleted."""
        if page.gone:
            return
        page.gone = True
        group = self._group(page.client)
        self._used_by[group] -= page.taken
        if not self._used_by[group]:
            del self._used_by[group]
        if page.client != OWN:
            self.used -= page.taken
            self.unfetched -= 0 if page.sent else page.taken

    def tell(self) -> None:
        """Call the functions that wait for room, after files have been deleted."""
        for waiting in list(self.waiting):
            waiting()
