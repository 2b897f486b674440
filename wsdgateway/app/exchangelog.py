"""Composes the exchange log from the configuration's `[exchange_log]`: its file and its captures.

It also logs messages that belong to no exchange with a scanner: unreadable requests, and discovery messages.
"""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from wsdgateway.config.sections import Config
from wsdgateway.config.sections import ExchangeLog as ExchangeLogConfig
from wsdgateway.exchangelog.captures import Captures
from wsdgateway.exchangelog.entry import DISCOVERY, Entry
from wsdgateway.exchangelog.file import LogFileWriter
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.exchangelog.masking import Masks
from wsdgateway.metrics import REFUSED, Metrics


class ExchangeLogging:
    """Configures the file and the captures of `log`, which stays the same object. `wall` gives seconds since 1970."""

    logger = Logger()

    def __init__(self, reactor: Any, wall: Callable[[], float], metrics: Metrics) -> None:
        self._reactor = reactor
        self._wall = wall
        self._metrics = metrics
        self._used: ExchangeLogConfig | None = None
        self._ending: set[Deferred[Any]] = set()
        self._numbers = count(1)
        self._has_captured = False
        self.log = ExchangeLog()

    def use(self, config: Config) -> None:
        """Write to the file and the folder that this configuration names, and in the details of its log level."""
        self.log.details = config.gateway.log_level == "debug"
        wanted = config.exchange_log
        if wanted == self._used:
            return
        self._used = wanted
        self._end()
        self.log.writer = self.log.captures = None
        if wanted.path is not None:
            self.log.writer = LogFileWriter(self._reactor, config.folder / wanted.path, size=wanted.size,
                                            keep=wanted.keep, count=self._metrics.log_lines)
        if wanted.capture is not None:
            self.log.captures = Captures(
                self._reactor, config.folder / wanted.capture, images=wanted.images, budget=wanted.capture_size,
                masks=Masks(secrets=wanted.secrets, identify=wanted.identify),
                count=self._metrics.captures, numbers=self._numbers, is_first=not self._has_captured)
            self._has_captured = True
        if wanted.path is not None or wanted.capture is not None:
            self.logger.info("[exchange_log] writing lines to {path}, captures to {capture}{images}{people}",
                             path=config.folder / wanted.path if wanted.path else "no file",
                             capture=config.folder / wanted.capture if wanted.capture else "no folder",
                             images=", images included" if wanted.images else "",
                             people="; names of people are not masked" if wanted.identify else "")
        self.log.identify = wanted.identify

    def _end(self) -> None:
        for part in (self.log.writer, self.log.captures):
            if part is not None:
                ending = part.stop()
                self._ending.add(ending)
                ending.addCallback(partial(self._ended, ending))

    def _ended(self, ending: Deferred[None], _: None) -> None:
        self._ending.discard(ending)

    def reopen(self) -> None:
        """Reopen the log's file, which another program may have moved."""
        if self.log.writer is not None:
            self.log.writer.reopen()

    def refused(self, client: str, status: int, size: int) -> None:
        """Log a request that was refused unread. `size` is the length of the answer's body in bytes."""
        self.log.add(Entry(self._wall(), None, client, "other", None, None, None, REFUSED, status, None, 0, size, 0.0))

    def discovery(self, name: str, action: str, message_id: str | None, client: str, data: bytes) -> None:
        """Log a discovery message that was received by multicast, or in answer to one of this gateway."""
        self.log.add(Entry(
            self._wall(), None, client, name, action, message_id, None, DISCOVERY, None, None, len(data), 0, 0.0), data)

    async def stop(self) -> None:
        """Finish writing."""
        self._end()
        await gatherResults(list(self._ending))
