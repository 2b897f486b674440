"""(e) Measures the delivery of a scanner's event to 1,000 subscribers, from its arrival until the last subscriber has
it.

It is compared with a twisted.web Agent that sends to all at once. Then all subscribers become unreachable, and the
memory for a thousand waiting events for a thousand sinks is printed.
"""

import asyncio
import re
import statistics
import tempfile
import time
from pathlib import Path

from peers import LOAD_CORE, SERVER_CORE, SOAP, free_port, gateway, peak_rss, script

SUBSCRIBERS, EVENTS, DEAD_EVENTS = 1000, 20, 1000
WSE = "http://schemas.xmlsoap.org/ws/2004/08/eventing"
EVENT = SOAP.format(
    to="{to}", action="JobStatusEvent", related="",
    body="<wscn:JobStatusEvent><wscn:JobStatus><wscn:JobId>1</wscn:JobId><wscn:JobState>Processing</wscn:JobState>"
         "<wscn:JobStateReasons><wscn:JobStateReason>None</wscn:JobStateReason></wscn:JobStateReasons>"
         "<wscn:ScansCompleted>1</wscn:ScansCompleted></wscn:JobStatus></wscn:JobStatusEvent>")
GRANT = SOAP.format(
    to="http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous", action="SubscribeResponse", related="",
    body=f'<wse:SubscribeResponse xmlns:wse="{WSE}"><wse:SubscriptionManager><wsa:Address>http://127.0.0.1/</wsa:Address>'
         "</wse:SubscriptionManager><wse:Expires>PT1H</wse:Expires></wse:SubscribeResponse>").encode()


def subscribe(to: str) -> bytes:
    """Returns a Subscribe for all events, with this address."""
    message = SOAP.format(to="http://127.0.0.1/", action="", related="", body=(
        f'<wse:Subscribe xmlns:wse="{WSE}"><wse:Delivery><wse:NotifyTo><wsa:Address>{to}</wsa:Address></wse:NotifyTo>'
        "</wse:Delivery></wse:Subscribe>"))
    return re.sub(r"<wsa:Action>[^<]*", f"<wsa:Action>{WSE}/Subscribe", message).encode()


class Sinks(asyncio.Protocol):
    """All subscribers: they answer a message with 202, and note the time at which it was complete."""

    arrived: list[float]
    all_here: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.data.endswith(b"Envelope>"):
            Sinks.arrived.append(time.perf_counter())
            self.transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.transport.close()
            if len(Sinks.arrived) == SUBSCRIBERS:
                Sinks.all_here.set()


class Device(asyncio.Protocol):
    """A scanner that grants every Subscribe; `notify_to` is the address for its events."""

    notify_to = ""
    subscribed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.data.endswith(b"Envelope>"):
            found = re.search(rb"NotifyTo><wsa:Address>([^<]+)", self.data)
            if found:
                Device.notify_to = found[1].decode()
                Device.subscribed.set()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n"
                                 % len(GRANT) + GRANT)
            self.data = b""


async def post(url: str, body: bytes) -> int:
    """Sends a POST request; returns the status of the answer."""
    port, path = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/.*)", url).groups()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(b"POST " + path.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                 b"Content-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1])


def event(number: int, to: str) -> bytes:
    """Returns a JobStatusEvent with a MessageID of its own."""
    return EVENT.replace("{to}", to).encode().replace(b"37f86d35-e6ac-4241-964f-1d9ae46fb366",
                                                      f"{time.time_ns():024x}{number:08x}".encode())


async def deliver_to_all(url: str, number: int) -> float:
    """Sends an event; returns the milliseconds until the last subscriber has it."""
    Sinks.arrived, Sinks.all_here = [], asyncio.Event()
    began = time.perf_counter()
    status = await post(url, event(number, url))
    if status >= 300:
        raise SystemExit(f"{url}: {status}")
    await asyncio.wait_for(Sinks.all_here.wait(), 60)
    return (max(Sinks.arrived) - began) * 1e3


async def measure(port: int, peer: int, device: int, sinks: int, pid: int) -> None:
    """Measures both ways alternately, and then the memory with unreachable subscribers."""
    loop = asyncio.get_running_loop()
    scanner = await loop.create_server(Device, "127.0.0.1", device)
    listening = await loop.create_server(Sinks, "127.0.0.1", sinks, backlog=4096)
    await asyncio.wait_for(Device.subscribed.wait(), 30)
    for number in range(SUBSCRIBERS):
        status = await post(f"http://127.0.0.1:{port}/front-desk/scan", subscribe(f"http://127.0.0.1:{sinks}/{number}"))
        if status != 200:
            raise SystemExit(f"Subscribe: {status}")
    ways = {"gateway": Device.notify_to, "twisted.web Agent": f"http://127.0.0.1:{peer}/"}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(EVENTS):
        for way, url in ways.items():
            times[way].append(await deliver_to_all(url, number))
            await asyncio.sleep(0.3)
    for way, found in times.items():
        print(f"{way:20} to {SUBSCRIBERS} subscribers: median {statistics.median(found):6.1f} ms, "
              f"slowest {max(found):6.1f} ms")
    print(f"ratio {statistics.median(times['twisted.web Agent']) / statistics.median(times['gateway']):.1f}; "
          f"peak memory {peak_rss(pid):.0f} MiB")
    listening.close()
    for number in range(DEAD_EVENTS):
        await post(Device.notify_to, event(number, Device.notify_to))
    print(f"{DEAD_EVENTS} events for {SUBSCRIBERS} dead sinks: peak memory {peak_rss(pid):.0f} MiB")
    scanner.close()


if __name__ == "__main__":
    device, sinks, port, peer = (free_port() for _ in range(4))
    with tempfile.TemporaryDirectory() as name:
        import os

        os.sched_setaffinity(0, {int(LOAD_CORE)})
        with (gateway(Path(name), port, f"http://127.0.0.1:{device}/scan") as server,
              script("peer_agent_fanout.py", peer, SERVER_CORE, str(sinks), str(SUBSCRIBERS))):
            asyncio.run(measure(port, peer, device, sinks, server.pid))
