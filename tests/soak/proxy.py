"""Proxy between the gateway and a scanner, which reports requests to a checker and can cause network faults."""

import asyncio
import re
import time

from checks import RateChecker

_JOB = re.compile(rb"JobId>\s*([^<\s]+)\s*</")
_OPERATION = re.compile(rb"wdp/scan/(\w+)</")
PIECE = 65536


class FaultProxy:
    """A port on loopback that forwards to the scanner's. The gateway sends one request at a time per connection."""

    def __init__(self, port):
        self._target = port
        self._server, self.port = None, None
        self._tasks = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers = set()
        self.rate_checker: RateChecker | None = None

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port or 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self):
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        for task in list(self._tasks):
            task.cancel()

    # Faults.

    def refuse(self):
        """Refuses new connections, and cuts the open ones."""
        self._server.close()
        self._server = None
        self.cut()

    def hang(self):
        """Stops forwarding."""
        self._flowing.clear()

    def cut(self):
        """Cuts all connections."""
        self._invalidate()
        for writer in list(self._writers):
            writer.transport.abort()

    async def restore(self):
        """Forwards again, on new connections."""
        if not self._flowing.is_set():
            self.cut()
        self._flowing.set()
        if self._server is None:
            await self.start()

    def _invalidate(self):
        if self.rate_checker is not None:
            self.rate_checker.invalidate()

    # Connections.

    async def _serve(self, reader, writer):
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            self._invalidate()
            writer.transport.abort()
            return
        asked = []
        both = [asyncio.create_task(self._pass(reader, there[1], lambda data: self._asked(data, asked))),
                asyncio.create_task(self._pass(there[0], writer, lambda data: self._answered(data, asked)))]
        self._writers |= {writer, there[1]}
        self._tasks |= set(both)
        await asyncio.gather(*both, return_exceptions=True)
        self._tasks -= set(both)
        self._writers -= {writer, there[1]}

    async def _pass(self, reader, writer, look):
        try:
            while data := await reader.read(PIECE):
                if not self._flowing.is_set():
                    await self._flowing.wait()
                    self._invalidate()  # the data was sent earlier
                look(data)
                writer.write(data)
                await writer.drain()
            writer.close()
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
            self._invalidate()

    def _asked(self, data, asked):
        """Reports a request to the checker; requests are small and arrive in one piece here."""
        operation, job = _OPERATION.search(data), _JOB.search(data)
        if self.rate_checker is None or operation is None or not data.startswith(b"POST "):
            return
        name, job_id = operation[1].decode(), job[1].decode() if job else None
        if name == "GetJobElements" and job_id is not None:
            self.rate_checker.asked(job_id)
            asked[:] = [(job_id, time.monotonic())]
            return
        asked.clear()
        if name == "CancelJob":
            self.rate_checker.invalidate(job_id)
        elif name == "CreateScanJob":
            self._invalidate()

    def _answered(self, data, asked):
        if self.rate_checker is None:
            return
        if asked and data.startswith(b"HTTP/1.1 200 "):
            self.rate_checker.answered(*asked.pop())
        elif b"CancelJobResponse" in data or b"CreateScanJobResponse" in data:
            self._invalidate()
