"""A gateway with many scanners, subscriptions and idle connections, beside one with a single scanner and none of these.

The scanners share one device of this file, at different addresses. It grants every subscription, and answers a status
read with a finished job. The subscriptions are made by Subscribe requests, and then the gateway is started anew with
them in its store, so that its start includes reading them.
"""

import asyncio
import contextlib
import re
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fanout import WSE, post, subscribe
from peers import (
    GET_JOB_ELEMENTS,
    JOB_STATUS,
    LOAD_CORE,
    SOAP,
    free_port,
    gateway,
    metric,
    peak_rss,
    running,
    wrk,
)
from status_reads import check_share
from table import WARM_UP_SECONDS, Line, Target, interleaved, ratios

SCANNERS, SUBSCRIPTIONS, IDLE = 300, 5000, 1000
LIMITS = "[limits]\nkeepalive_timeout = 3600\n"
SUBSCRIBING = 20  # Subscribe requests at once
READY_SECONDS, SUBSCRIBING_SECONDS = 60, 300


class Device(asyncio.Protocol):
    """The device: answers Subscribe, Renew and GetStatus with an hour, and everything else with the job's status."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        if not self.data.endswith(b"Envelope>"):
            return
        asked = re.search(WSE.encode() + rb"/(Subscribe|Renew|GetStatus)<", self.data)
        answer = (self._granted(asked[1].decode()) if asked else JOB_STATUS).encode()
        self.data = b""
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n"
                             % len(answer) + answer)

    def _granted(self, operation: str) -> str:
        manager = ("<wse:SubscriptionManager><wsa:Address>http://127.0.0.1:"
                   f"{self.transport.get_extra_info('sockname')[1]}/</wsa:Address></wse:SubscriptionManager>")
        answer = SOAP.format(
            to="http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous", action="", related="",
            body=f'<wse:{operation}Response xmlns:wse="{WSE}">{manager if operation == "Subscribe" else ""}'
                 f"<wse:Expires>PT1H</wse:Expires></wse:{operation}Response>")
        return re.sub(r"<wsa:Action>[^<]*", f"<wsa:Action>{WSE}/{operation}Response", answer)


async def serve(port: int) -> None:
    """Runs the device."""
    server = await asyncio.get_running_loop().create_server(Device, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def paths() -> list[str]:
    """Returns the paths of the scanners at the gateway."""
    return ["/front-desk/scan", *(f"/scanner-{number}/scan" for number in range(1, SCANNERS))]


def scanners(device: int) -> str:
    """Returns the sections of all scanners but the first."""
    return "".join(f'[[scanner]]\nname = "scanner-{number}"\nscan = "http://127.0.0.1:{device}/{number}/scan"\n'
                   for number in range(1, SCANNERS)) + LIMITS


async def make_subscriptions(port: int, sink: int) -> None:
    """Subscribes to the scanners in turn."""
    async def some(first: int) -> None:
        for number in range(first, SUBSCRIPTIONS, SUBSCRIBING):
            path = paths()[number % SCANNERS]
            status = await post(f"http://127.0.0.1:{port}{path}", subscribe(f"http://127.0.0.1:{sink}/{number}"))
            if status != 200:
                raise SystemExit(f"Subscribe to {path}: {status}")

    await asyncio.gather(*(some(first) for first in range(SUBSCRIBING)))


def ask(connection: socket.socket, path: str) -> None:
    """Sends a status read and waits for its answer."""
    connection.sendall((f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/soap+xml\r\n"
                        f"Content-Length: {len(GET_JOB_ELEMENTS)}\r\n\r\n{GET_JOB_ELEMENTS}").encode())
    answer = b""
    while not answer.endswith(b"Envelope>"):
        piece = connection.recv(65536)
        if not piece:
            raise SystemExit(f"{path}: the connection was closed")
        answer += piece
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"{path}: {answer[:100]!r}")


@contextlib.contextmanager
def idle_connections(port: int) -> Iterator[None]:
    """Opens the idle connections, each of which has made one status read. They must still be open at the end."""
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 200
    if limit != resource.RLIM_INFINITY and limit < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    with contextlib.ExitStack() as stack:
        connections = []
        for number in range(IDLE):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            ask(connection, paths()[number % SCANNERS])
            connections.append(connection)
        yield
        for connection in connections:
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.recv(1)
                raise SystemExit("an idle connection was closed")


def wait_for_subscriptions(admin: int) -> None:
    """Waits until the gateway is subscribed at every scanner."""
    end = time.monotonic() + READY_SECONDS
    while metric(admin, "wsdgateway_subscriptions", side="device") < SCANNERS:
        if time.monotonic() > end:
            raise SystemExit(f"the gateway did not subscribe at all scanners within {READY_SECONDS} s")
        time.sleep(0.2)


def grown(rounds: int, seconds: int) -> list[Line]:
    """Status reads of all scanners in turn, the peak memory, and the time from the start of the process to an answer
    of the last scanner.
    """
    device, port, admin, first, second = (free_port() for _ in range(5))
    work = f"{SCANNERS} scanners, {SUBSCRIPTIONS:,} subscriptions, {IDLE:,} idle connections"
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as others, contextlib.ExitStack() as many:
        folder, scan = Path(temporary), f"http://127.0.0.1:{device}/0/scan"
        others.enter_context(running([sys.executable, __file__, str(device)], device, LOAD_CORE))
        starts: list[float] = []
        for number in range(rounds + 1):
            many.close()
            began = time.perf_counter()
            server = many.enter_context(gateway(folder / "many", port, scan, scanners(device), admin=admin,
                                                state="sqlite:gateway.sqlite"))
            with socket.create_connection(("127.0.0.1", port), 30) as connection:
                ask(connection, paths()[-1])
            took = time.perf_counter() - began
            wait_for_subscriptions(admin)
            if number == 0:
                asyncio.run(asyncio.wait_for(make_subscriptions(port, device), SUBSCRIBING_SECONDS))
            else:
                starts.append(took)
            print(f"growth, start {number} of {rounds}: {took:.1f} s", file=sys.stderr)
        if (kept := metric(admin, "wsdgateway_subscriptions", side="client")) != SUBSCRIPTIONS:
            raise SystemExit(f"{kept:,.0f} of {SUBSCRIPTIONS:,} subscriptions are left")
        others.enter_context(gateway(folder / "1", first, scan))
        others.enter_context(gateway(folder / "2", second, scan))
        with idle_connections(port):
            def programs(seconds: int) -> dict[str, Callable[[], float]]:
                targets = {"many": (port, paths()), "one": (first, paths()[:1]), "one again": (second, paths()[:1])}
                return {name: lambda at=at, asked=asked: wrk(
                            f"http://127.0.0.1:{at}", GET_JOB_ELEMENTS, seconds=seconds, paths=asked)
                        for name, (at, asked) in targets.items()}

            interleaved("growth (warming up)", 1, programs(WARM_UP_SECONDS))
            before = metric(admin, "wsdgateway_requests_total", source="local")
            found = interleaved("growth", rounds, programs(seconds))
            check_share(metric(admin, "wsdgateway_requests_total", source="local") - before,
                        sum(found["many"]) * seconds, "local")
            memory = peak_rss(server.pid)
    return [Line(f"status reads, keep-alive: {work}", "load's core", "/s", found["many"], "one scanner", found["one"],
                 ratios(found["one again"], found["one"]), Target("≥", 0.9)),
            Line(f"{work}: peak memory", "load's core", "MiB", [memory],
                 target=Target("<", 300, each=True, unit="MiB")),
            Line(f"{work}: start", "load's core", "s", starts, target=Target("<", 10, each=True, unit="s"))]


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
