"""(g) Measures the delay for a client of one scanner while another scanner sends 1,000 notifications a second.

The other scanner has 2,000 listeners. The client of the quiet scanner reads a job's status over a new connection each
time, first at rest, then during the storm; both medians, the slowest reads, and their ratios are printed. Then the
number of delivered events is printed, and how long after the last event all listeners had the job's last state.
"""

import asyncio
import contextlib
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from fanout import Device, post, subscribe
from peers import GET_JOB_ELEMENTS, JOB_STATUS, LOAD_CORE, SOAP, free_port, gateway, peak_rss

LISTENERS, RATE, SECONDS, CONNECTIONS, PAUSE = 2000, 1000, 10.0, 4, 0.01
EVENT = SOAP.format(
    to="{to}", action="JobStatusEvent", related="",
    body="<wscn:JobStatusEvent><wscn:JobStatus><wscn:JobId>1</wscn:JobId><wscn:JobState>{state}</wscn:JobState>"
         "<wscn:JobStateReasons><wscn:JobStateReason>None</wscn:JobStateReason></wscn:JobStateReasons>"
         "<wscn:ScansCompleted>{scans}</wscn:ScansCompleted></wscn:JobStatus></wscn:JobStatusEvent>")


class Listeners(asyncio.Protocol):
    """All subscribers: they answer a message with 202, and note which of them have the job's last state."""

    received = 0
    informed: set[bytes]
    all_informed: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.data.endswith(b"Envelope>"):
            Listeners.received += 1
            if b">Completed<" in self.data:
                Listeners.informed.add(self.data.split(b" ", 2)[1])
                if len(Listeners.informed) == LISTENERS:
                    Listeners.all_informed.set()
            self.transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.transport.close()


class Quiet(asyncio.Protocol):
    """A scanner without events, whose job is finished."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.data.endswith(b"Envelope>"):
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n"
                                 % len(JOB_STATUS) + JOB_STATUS.encode())
            self.data = b""


def request(url: str, body: bytes) -> bytes:
    """Returns a POST on a connection that stays open."""
    path = "/" + url.split("/", 3)[3]
    return (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/soap+xml\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def event(number: int, to: str, state: str = "Processing") -> bytes:
    """Returns a JobStatusEvent with a MessageID of its own."""
    made = EVENT.format(to=to, state=state, scans=number).encode()
    return made.replace(b"37f86d35-e6ac-4241-964f-1d9ae46fb366", f"{time.time_ns():024x}{number:08x}".encode())


async def storm(url: str, first: int, until: float, statuses: list[int]) -> None:
    """Sends one connection's share of the events, each one after the answer to the previous one and not before its
    time.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
    due, number = time.perf_counter(), first
    while time.perf_counter() < until:
        writer.write(request(url, event(number, url)))
        head = await reader.readuntil(b"\r\n\r\n")
        statuses.append(int(head.split(b" ", 2)[1]))
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                await reader.readexactly(int(line.split(b":")[1]))
        number += CONNECTIONS
        due += CONNECTIONS / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    writer.close()


def read_for(port: int, seconds: float) -> list[float]:
    """Reads the status at the quiet scanner, each time over a new connection. Returns the milliseconds of each read."""
    message = request("http://127.0.0.1/quiet/scan", GET_JOB_ELEMENTS.encode()).replace(
        b"Host: ", b"Connection: close\r\nHost: ", 1)
    times, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port), 60) as connection:
            connection.sendall(message)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"a status read: {answer[:100]!r}")
        times.append((time.perf_counter() - began) * 1e3)
        time.sleep(PAUSE)
    return times


async def reads(port: int, seconds: float) -> list[float]:
    """Reads the status from a process of its own, so that the subscribers in this process do not slow it down."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "read", str(port), str(seconds), stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return list(json.loads(output))


def show(what: str, times: list[float], rest: list[float] | None = None) -> None:
    """Prints the line of one phase."""
    ratio = "" if rest is None else (
        f"; {statistics.median(times) / statistics.median(rest):.1f} x and {max(times) / max(rest):.1f} x")
    print(f"{what:18} {len(times):5} reads: median {statistics.median(times):7.1f} ms, "
          f"slowest {max(times):7.1f} ms{ratio}")


async def measure(port: int, device: int, quiet: int, sinks: int, pid: int) -> None:
    """Measures at rest, during the storm, and after it."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Device, "127.0.0.1", device),
               await loop.create_server(Quiet, "127.0.0.1", quiet),
               await loop.create_server(Listeners, "127.0.0.1", sinks, backlog=4096)]
    Listeners.informed, Listeners.all_informed = set(), asyncio.Event()
    await asyncio.wait_for(Device.subscribed.wait(), 30)
    for number in range(LISTENERS):
        status = await post(f"http://127.0.0.1:{port}/front-desk/scan", subscribe(f"http://127.0.0.1:{sinks}/{number}"))
        if status != 200:
            raise SystemExit(f"Subscribe: {status}")
    rest = await reads(port, 3.0)
    show("at rest", rest)
    url, statuses = Device.notify_to, []
    until = time.perf_counter() + SECONDS
    storming = asyncio.gather(*(storm(url, first, until, statuses) for first in range(CONNECTIONS)))
    await asyncio.sleep(1.0)
    times = await reads(port, SECONDS - 2.0)
    await storming
    show("during the storm", times, rest)
    ended = time.perf_counter()
    await post(url, event(10**9, url, "Completed"))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(Listeners.all_informed.wait(), 120)
    print(f"{len(statuses)} events were sent, {sum(status == 202 for status in statuses)} taken; {Listeners.received} "
          f"messages were received, and {len(Listeners.informed)} of {LISTENERS} listeners knew the last state after "
          f"{time.perf_counter() - ended:.1f} s; peak memory {peak_rss(pid):.0f} MiB")
    for server in servers:
        server.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        print(json.dumps(read_for(int(sys.argv[2]), float(sys.argv[3]))))
        raise SystemExit
    device, quiet, sinks, port = (free_port() for _ in range(4))
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    with tempfile.TemporaryDirectory() as name, gateway(
            Path(name), port, f"http://127.0.0.1:{device}/scan",
            f'[[scanner]]\nname = "quiet"\nscan = "http://127.0.0.1:{quiet}/scan"\nevents = "off"\n'
            "[events]\nmax_subscriptions = 5000\n") as server:
        asyncio.run(measure(port, device, quiet, sinks, server.pid))
