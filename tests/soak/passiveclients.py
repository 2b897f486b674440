"""Passive clients of the soak: idle and slow ones, and two probes whose requests must never fail."""

import asyncio
import math
import time

from actions import ClientActions, fault_name
from http_client import Broken, Client, message, pause

from tests.messages import get_job_elements

MOST_SECONDS = 15.0  # time limit for the answer to a probe
MOST_LAG = 5.0  # seconds without a processor above which a probe is not judged


class PassiveClients(ClientActions):
    """Idle and slow clients, and the probes of the healthy scanner.

    `lag` measures the delays on a machine with other load.
    """

    def __init__(self, testbed, checker, seed, lag=None):
        super().__init__(testbed, checker, seed)
        self._lag = lag
        self._tolerated_until = {}
        self.idle = 0

    def tolerate(self, kind, seconds=math.inf):
        """Tolerates failures of probes of that kind (`device`, `local`) for so many seconds from now on."""
        self._tolerated_until[kind] = time.monotonic() + seconds

    def _is_tolerated(self, kind, began):
        return self._tolerated_until.get(kind, -math.inf) >= began

    async def _idler(self, chance):
        client = Client(self.testbed.port)
        await pause(self.stop, chance.uniform(0.0, 8.0))
        while not self.stop.is_set():
            status, _ = await self.ask(client, "steady", b"<idle/>", 60.0)
            if status is not None and client.is_open:
                self.idle += 1
                while client.is_open and not self.stop.is_set():
                    await pause(self.stop, 1.0)
                self.idle -= 1
            await pause(self.stop, chance.uniform(0.0, 3.0))
        client.close()

    async def _slow(self, chance):
        """Sends a byte now and then (Slowloris), until the gateway closes the connection."""
        while not self.stop.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.testbed.port)
            except OSError:
                await pause(self.stop, 1.0)
                continue
            sent_away = asyncio.create_task(_closed(reader))
            try:
                for byte in b"POST /steady/scan HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000:
                    writer.write(bytes([byte]))
                    await pause(self.stop, chance.uniform(0.1, 1.0))
                    if sent_away.done() or self.stop.is_set():
                        break
                else:
                    self.failures.append("a slow client was not disconnected")
                self.done["slow ones sent away"] += 1
            finally:
                writer.transport.abort()
                await sent_away

    async def _probe(self):
        """Asks the healthy scanner for its status continuously."""
        client = Client(self.testbed.port)
        while not self.stop.is_set():
            body = message("GetScannerElements", (
                "<wscn:GetScannerElementsRequest><wscn:RequestedElements><wscn:Name>wscn:ScannerStatus</wscn:Name>"
                "</wscn:RequestedElements></wscn:GetScannerElementsRequest>"))
            await self._must(client, "device", body, b"ScannerState")
            await pause(self.stop, 0.2)
        client.close()

    async def _local_probe(self):
        """Reads the status of a finished job of the healthy scanner, on one connection."""
        client = Client(self.testbed.port)
        job_id = None
        while not self.stop.is_set():
            if job_id is None:
                job = await self.create(client, "steady")
                if job is not None and await self.fetch(client, "steady", *job):
                    job_id = job[0]
            else:
                await self._must(client, "local", get_job_elements(job_id), b"Completed")
            await pause(self.stop, 0.2)
        client.close()

    async def _must(self, client, kind, body, expected):
        began = time.monotonic()
        try:
            status, answer = await client.ask("/steady/scan", body, MOST_SECONDS)
            why = "" if status == 200 and expected in answer else f"{status} {fault_name(answer)}"
        except Broken as broken:
            why = str(broken)
        self.done[f"{kind} probes"] += 1
        if kind == "local":
            self._lag.answered(time.monotonic() - began)
        if why and self._lag.since(began) > MOST_LAG:
            self.done[f"{kind} probes not judged"] += 1
        elif why and not self._is_tolerated(kind, began):
            took = time.monotonic() - began
            self.failures.append(f"{time.strftime('%H:%M:%S')} {kind} probe after {took:.2f} s: {why}")


async def _closed(reader):
    """Waits until the other side has closed the connection."""
    try:
        await reader.read()
    except OSError:
        pass  # the connection was reset
