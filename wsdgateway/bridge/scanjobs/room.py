"""Counts the bytes in the spool, which all scanners' jobs share, and tells when there is room again."""

from collections.abc import Callable

from wsdgateway.bridge.scanjobs.scanjob import Page


class Room:
    """The room in the spool, `limit` bytes. `used` is the part in use, `unfetched` the part that no client has yet.

    `waiting` holds functions that are called when bytes become free.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.unfetched = 0
        self.waiting: list[Callable[[], None]] = []

    def fits(self, size: int) -> bool:
        """Whether a page of about that size can be begun; an unknown size is 0."""
        return self.used + max(1, size) <= self.limit

    def take(self, page: Page, size: int) -> bool:
        """Take this many bytes for a page; returns False if there is no room for them."""
        if self.used + size > self.limit:
            return False
        self.add(page, size)
        return True

    def add(self, page: Page, size: int) -> None:
        """Take this many bytes for a page that has not been fetched, even if there is no room for them."""
        self.used += size
        self.unfetched += size
        page.taken += size

    def fetched(self, page: Page) -> None:
        """Count a page as received by its client; it stays in the spool."""
        if not page.sent:
            page.sent = True
            self.unfetched -= page.taken

    def free(self, page: Page) -> None:
        """Free the bytes of a page, whose file is deleted."""
        if page.gone:
            return
        page.gone = True
        self.used -= page.taken
        if not page.sent:
            self.unfetched -= page.taken

    def tell(self) -> None:
        """Call the functions that wait for room, after files have been deleted."""
        for waiting in list(self.waiting):
            waiting()
