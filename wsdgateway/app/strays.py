"""Ends subscriptions that scanners hold for this gateway after it has stopped bridging them, and for no other gateway.

The next owner of a scanner renews or ends what the shared server lists. A subscription that was granted while the
server was away, or when another gateway owned the scanner already, is not listed there. Neither is one that the server
has lost. Some scanners hang if a subscriber never answers, so this gateway ends it itself, as soon as the server has
told that it is not listed.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.app.storedstate import END_SECONDS
from wsdgateway.bridge.events.upstream_core import NO_MANAGER
from wsdgateway.bridge.events.upstreamcommands import Held, LeftBehind
from wsdgateway.net.events.orphans import Orphans
from wsdgateway.net.events.unsubscribing import Unsubscribing
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.net.transport.timeouts import within
from wsdgateway.storage.coordination import NotNow

MAX_LEFT = 1000  # scanners, each counted once for each time that this gateway has stopped bridging it


class Listing(Protocol):
    """The part of the store that knows which subscriptions at a scanner the shared server lists."""

    def unlisted(self, scanner: str, left: Sequence[LeftBehind]) -> Deferred[list[Held]]:
        """The subscriptions of `left` that the server does not list: no gateway ends them. Fails with `NotNow`."""


@attrs.define(eq=False)
class _Left:
    """The subscriptions left at a scanner: `unknown` until the server was asked, then ended by `endings`.

    Each of `tried` fires after a first attempt.
    """

    scanner: str
    unknown: list[LeftBehind]
    orphans: Orphans
    endings: list[Unsubscribing]
    tried: list[Deferred[None]] = attrs.field(factory=list)


class Strays:
    """The subscriptions that may be left. `wall` returns seconds since 1970.

    Those that are not listed are ended at once, and again with growing pauses until the scanner has answered or they
    have expired.
    """

    log = Logger()

    def __init__(self, reactor: Any, store: Listing, wall: Callable[[], float]) -> None:
        self._reactor = reactor
        self._store = store
        self._wall = wall
        self._left: list[_Left] = []
        self._tasks = Tasks("Subscriptions that scanners hold for no gateway")

    def __len__(self) -> int:
        return len(self._left)

    def leave(self, scanner: str, left: Iterable[LeftBehind], orphans: Orphans, endings: list[Unsubscribing]) -> None:
        """Have ended by `orphans`, which tells `endings`, what a scanner was left with and no gateway knows."""
        known = [one for one in left if one.held.manager != NO_MANAGER]
        if known and len(self._left) < MAX_LEFT:
            self._left.append(_Left(scanner, known, orphans, endings))
            self._tasks.run(self.look())

    async def look(self) -> None:
        """Ask the server about each that it has not told of, and forget those that have ended."""
        for one in list(self._left):
            one.unknown = [left for left in one.unknown if left.held.expires_at > self._wall()]
            unknown = one.unknown
            if unknown:
                try:
                    unlisted = await self._store.unlisted(one.scanner, unknown)
                except NotNow:
                    return
                if one.unknown is unknown:  # else another look was quicker
                    self._end(one, unlisted)
            elif all(ending.is_done for ending in one.endings):
                await self._forget(one)

    def _end(self, one: _Left, held: Iterable[Held]) -> None:
        one.unknown = []
        for stray in held:
            self.log.info("{scanner}: ending a subscription at the scanner that the next owner does not know",
                          scanner=one.scanner)
            one.orphans.restore([stray])
        one.tried += one.orphans.end_all()

    async def _forget(self, one: _Left) -> None:
        if one in self._left:
            self._left.remove(one)
            if one.orphans.client is not None:
                await one.orphans.client.stop()

    async def stop(self) -> None:
        """Make a last attempt to end each, and stop.

        While the server is away, those are ended that it is not known to have listed: nobody knows them after the end
        of this process.
        """
        await self._tasks.idle()
        is_away = False
        for one in self._left:
            unlisted = [left.held for left in one.unknown if left.era is None]
            if one.unknown and not is_away:
                try:
                    unlisted = await self._store.unlisted(one.scanner, one.unknown)
                except NotNow:
                    is_away = True  # one deadline is enough
            self._end(one, unlisted)
        await within(self._reactor, END_SECONDS, [tried for one in self._left for tried in one.tried])
        for one in list(self._left):
            for ending in one.endings:
                ending.give_up()
            await self._forget(one)
