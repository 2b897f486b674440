"""Answers NextDocument: waits for the next page, converts it if needed, and sends it.

eSCL, NextDocument. Requests for one job are answered one after the other. A page that needs no conversion is sent while
it still arrives from the scanner. It stays until it was sent whole and the next one is asked for.
"""

import os
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.logger import Logger

from wsdgateway.bridge.escljobs import end_outcome
from wsdgateway.bridge.frontends.escl.clients import client_kind
from wsdgateway.bridge.frontends.escl.faults import NOT_READY, Outcome
from wsdgateway.bridge.frontends.escl.formats import JPEG
from wsdgateway.bridge.frontends.escl.jpeg import MAX_HEADER, NotJpeg, find_frame
from wsdgateway.bridge.scanjobs.scanjob import Page
from wsdgateway.conversion.kinds import START, Unconvertible, kind_of
from wsdgateway.net.conversion import Converter
from wsdgateway.net.escl.jobs import EsclJob, EsclJobs
from wsdgateway.net.escl.sending import send
from wsdgateway.net.scanjobs.waiting import first_of
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.storage.spool import Spool, SpoolReader

NO_CACHE = (b"Cache-Control", b"no-cache")
SIZE_SECONDS = 1.0  # for which ScanImageInfo waits for the end of a page and for its size


@attrs.frozen(eq=False)
class _File:
    """A page in the client's media type, which is gone when the page from which it was made is."""

    size: int
    page: Page
    complete: bool = True

    @property
    def gone(self) -> bool:
        """True if the page has been deleted."""
        return self.page.gone


class _Left(Exception):
    """The client has left."""


class _TooLate(Exception):
    """The page was not ready in time."""


class Documents:
    """Answers the requests for pages of one scanner's jobs."""

    log = Logger()

    def __init__(self, reactor: Any, scanner: str, jobs: EsclJobs, spool: Spool, converter: Converter) -> None:
        self._reactor = reactor
        self._scanner = scanner
        self._jobs = jobs
        self._spool = spool
        self._converter = converter

    async def serve(self, exchange: Exchange, one: EsclJob, uri: str, adf_state: str | None) -> Outcome | None:
        """Send the next page of a job, or return the answer if there is none. `uri` is the path of the job."""
        if one.is_crowded:
            return NOT_READY
        limit = self._reactor.seconds() + client_kind(exchange.request.headers).hold
        self._jobs.execution.touch(one.job)
        try:
            await self._turn(exchange, one, limit)
        except _TooLate:
            return NOT_READY
        except _Left:
            return None
        try:
            return await self._serve(exchange, one, uri, adf_state, limit)
        finally:
            one.turns.release()

    async def size(self, one: EsclJob) -> tuple[int, int, int] | None:
        """The size of the page that was fetched last; None before the first, and if it is not known.

        A client that knows the length of a page may have all of it before the page counts as sent.
        """
        if one.turns.locked and not one.is_crowded:
            try:
                await one.turns.acquire().addTimeout(SIZE_SECONDS, self._reactor)
                one.turns.release()
            except TimedOut:
                pass  # the next page is still being scanned or sent
        if one.sizing is not None:
            await first_of(self._reactor, SIZE_SECONDS, one.sizing)
        return one.info

    async def _turn(self, exchange: Exchange, one: EsclJob, limit: float) -> None:
        """Wait until no other request is served for the job."""
        acquiring = one.turns.acquire()
        await self._within(exchange, acquiring, limit)

    async def _within(self, exchange: Exchange, waiting: Deferred[Any], limit: float) -> Any:
        """The result of a Deferred that may be cancelled. Raises `_Left` and `_TooLate`."""
        exchange.on_gone = waiting.cancel
        try:
            return await waiting.addTimeout(max(0.0, limit - self._reactor.seconds()), self._reactor)
        except TimedOut:
            raise _TooLate from None
        except CancelledError:
            raise _Left from None
        finally:
            exchange.on_gone = None

    async def _serve(self, exchange: Exchange, one: EsclJob, uri: str, adf_state: str | None, limit: float
                     ) -> Outcome | None:
        execution = self._jobs.execution
        while not exchange.gone:
            page = execution.next_page(one.job)
            if page is None and one.job.finished:
                assert one.job.end is not None
                self._jobs.discard_converted(one)
                execution.told(one.job)
                return end_outcome(one.job, one.job.end, adf_state)
            try:
                if page is None:
                    await self._within(exchange, execution.changed(one.job), limit)
                elif await self._send(exchange, one, page, uri, limit):
                    return None
            except _TooLate:
                return NOT_READY
            except _Left:
                return None
            except (OSError, Unconvertible) as error:
                self.log.error("{scanner}: a page of an eSCL job cannot be sent: {error}", scanner=self._scanner,
                               error=str(error))
                execution.cancel(one.job)
                return Outcome(500)
        return None

    async def _send(self, exchange: Exchange, one: EsclJob, page: Page, uri: str, limit: float) -> bool:
        """Send a page. Returns False if it is gone, and the job has to be looked at again."""
        execution = self._jobs.execution
        execution.sending(one.job)
        whole = False
        try:
            reader = execution.open_page(page)
            try:
                is_direct = await self._is_direct(exchange, one, page, reader, limit)
                if is_direct is None:
                    return False
                if is_direct:
                    whole = await self._stream(exchange, one, page, page, reader, uri)
                    return True
            finally:
                reader.close()
            path = await self._converted(exchange, one, page, limit)
            if path is None:
                return False
            converted = SpoolReader(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
            try:
                whole = await self._stream(exchange, one, page, _File(path.stat().st_size, page), converted, uri)
            finally:
                converted.close()
            return True
        finally:
            execution.sent(one.job, page, whole=whole)
            if whole:
                self._note_size(one, page)

    async def _stream(self, exchange: Exchange, one: EsclJob, page: Page, source: Any, reader: SpoolReader,
                      uri: str) -> bool:
        one.number = page.number
        headers = ((b"Content-Type", one.media.encode("ascii")), NO_CACHE,
                   (b"Content-Location", f"{uri}/{page.number}".encode("ascii")))
        return await send(self._reactor, exchange, source, reader, lambda: self._jobs.execution.changed(one.job),
                          headers)

    async def _is_direct(self, exchange: Exchange, one: EsclJob, page: Page, reader: SpoolReader, limit: float
                         ) -> bool | None:
        """True if the page can be sent as it is; None if it is gone. Waits until enough of it has arrived."""
        while not page.gone:
            data = reader.read(0, min(page.size, MAX_HEADER + 16))
            if len(data) >= START or page.complete:
                decided = _decide(data, one.media, complete=page.complete or page.size > MAX_HEADER)
                if decided is not None:
                    return decided
            await self._within(exchange, self._jobs.execution.changed(one.job), limit)
        return None

    async def _converted(self, exchange: Exchange, one: EsclJob, page: Page, limit: float) -> Path | None:
        """The file with the page in the client's media type; None if the page is gone."""
        while not page.complete:
            if page.gone:
                return None
            await self._within(exchange, self._jobs.execution.changed(one.job), limit)
        if one.converted is not None and one.converted[0] is page:
            return one.converted[1].path
        self._jobs.discard_converted(one)
        source, file = self._jobs.execution.path_of(page), self._spool.create(one.job.id)
        file.close()
        one.converted = page, file
        try:
            # It goes on when the client leaves, since the client will ask for the page again.
            one.converting = self._converter.convert(source, file.path, one.media, one.dots, one.lines)
            await one.converting
            size = file.path.stat().st_size
        except (OSError, Unconvertible, CancelledError):
            self._jobs.discard_converted(one)
            if page.gone:  # canceled meanwhile
                return None
            raise
        finally:
            one.converting = None
        if page.gone:
            return None
        self._jobs.execution.enlarge(page, size)
        return file.path

    def _note_size(self, one: EsclJob, page: Page) -> None:
        """Learn the size of the image that was sent, for ScanImageInfo."""
        one.info = one.sizing = None
        try:
            source = self._jobs.execution.path_of(page)
        except KeyError:
            return

        def sized(size: tuple[int, int, int]) -> None:
            if one.sizing is sizing:
                one.info = size

        one.sizing = sizing = self._converter.size_of(source)
        sizing.addCallbacks(sized, lambda failure: failure.trap(Unconvertible, OSError) and None)


def _decide(data: bytes, media: str, *, complete: bool) -> bool | None:
    """True if an image that begins with these bytes can be sent as that media type; None if more bytes are needed."""
    if kind_of(data[:START]) != media:
        return False
    if media != JPEG:
        return True
    try:
        frame = find_frame(data)
    except NotJpeg:
        return True  # damaged, or of an unusual kind, which the client may know
    if frame is None:
        return True if complete else None
    return frame.is_height_known


