"""Sends SubscriptionEnd to subscribers, with a few attempts, without making anything wait.

WS-Eventing 2004/08, section 3.5.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.net.transport.errors import describe_error

PAUSES = (1.0, 5.0, 15.0)  # between attempts
MAX_ENDINGS = 10000


class SubscriptionEnds:
    """The SubscriptionEnds of one scanner that are being sent. `settled` is called after the first attempt of each."""

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, send: "Callable[[Sink, bytes], Deferred[int]]",
                 settled: Callable[[], None]) -> None:
        self._reactor = reactor
        self._scanner = scanner
        self._send = send
        self._settled = settled
        self._telling: dict[Deferred[None], None] = {}
        self._stopped = False
        self.untried = 0

    def tell(self, sink: Sink, message: bytes) -> None:
        """Sends a SubscriptionEnd, with a few attempts."""
        if len(self._telling) >= MAX_ENDINGS:
            self.log.warn("{scanner}: no SubscriptionEnd is sent to {address}, because {count} others are waiting to "
                          "be sent", scanner=self._scanner, address=sink.reference.address, count=len(self._telling))
            return
        self.untried += 1
        telling: Deferred[None] = Deferred.fromCoroutine(self._tell(sink, message))
        self._telling[telling] = None
        telling.addErrback(lambda failure: None if failure.check(CancelledError) else failure)
        telling.addErrback(lambda failure: self.log.failure(
            "{scanner}: sending SubscriptionEnd failed", failure, scanner=self._scanner))
        telling.addBoth(lambda _: self._telling.pop(telling))

    async def _tell(self, sink: Sink, message: bytes) -> None:
        try:
            arrived = await self._try(sink, message)
        finally:
            self.untried -= 1
            self._settled()
        for pause in PAUSES:
            if arrived:
                return
            if self._stopped:
                return
            await deferLater(self._reactor, pause)
            arrived = await self._try(sink, message)

    async def _try(self, sink: Sink, message: bytes) -> bool:
        try:
            return await self._send(sink, message) < 300
        except CancelledError:
            raise
        except Exception as error:  # network errors come in many types
            self.log.info("{scanner}: SubscriptionEnd for {address} was not delivered: {error}",
                          scanner=self._scanner, address=sink.reference.address, error=describe_error(error))
            return False

    def stop(self) -> None:
        """Stops all attempts."""
        self._stopped = True
        for telling in list(self._telling):
            telling.cancel()
