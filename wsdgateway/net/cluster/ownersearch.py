"""Holds a request until its scanner has an owner, or another one than before."""

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from wsdgateway.bridge.cluster.passing import AGAIN_SECONDS, LOOK_SECONDS, Hold
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.net.cluster.passedrequest import PassedRequest
from wsdgateway.net.cluster.passingcontext import PassingContext


class OwnerSearch:
    """Holds the requests for one scanner until it has an owner.

    `is_served_here` answers a request if this gateway has become the owner, and returns False if it is not. `now` is a
    monotonic clock.
    """

    def __init__(self, scanner: str, context: PassingContext, is_served_here: Callable[[PassedRequest], bool],
                 now: Callable[[], float]) -> None:
        self._scanner = scanner
        self._context = context
        self._is_served_here = is_served_here
        self._now = now

    async def find(self, passed: PassedRequest, hold: Hold) -> Registration | None:
        """Wait for an owner; returns None if there is none in time.

        Sets `is_served`, and returns None, if this gateway becomes the owner, and `is_left`, if the client leaves.
        """
        held = self._context.held
        held.count += 1
        passed.exchange.on_gone = partial(self._leave, passed)
        try:
            return await self._wait(passed, hold)
        except CancelledError:
            return None
        finally:
            held.count -= 1
            if not passed.is_served:
                passed.exchange.on_gone = None

    def _leave(self, passed: PassedRequest) -> None:
        passed.is_left = True
        if passed.waiting is not None:
            passed.waiting.cancel()

    async def _wait(self, passed: PassedRequest, hold: Hold) -> Registration | None:
        """Wait for an owner, or for another one than `hold.other_than`, which is tried again after a while.

        This gateway may be the owner for the others while its lease does not hold, for example because its process was
        stopped; a tick decides soon.
        """
        now, owners = self._now, self._context.owners
        began, former = now(), hold.other_than
        while (left := began + hold.seconds - now()) > 0.0:
            owner = owners.find(self._scanner)
            if owner is None:
                passed.waiting = owners.wait_for_owner(self._scanner, left)
                owner = await passed.waiting
            passed.exchange.on_gone = None
            if not passed.is_left and self._is_served_here(passed):
                passed.is_served = True
                return None
            passed.exchange.on_gone = partial(self._leave, passed)
            if owner is None:
                return None
            is_former = former is not None and owner.identifier == former.identifier
            if owner.identifier != self._context.identifier and (
                    not is_former or now() - began >= AGAIN_SECONDS):
                return owner
            passed.waiting = deferLater(self._context.reactor, LOOK_SECONDS)
            await passed.waiting
        return None
