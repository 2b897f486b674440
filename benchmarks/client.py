"""A client for status reads that `wrk` cannot make: in two writes, with a late first byte, or at a fixed rate.

It runs as a process of its own on the core of the load, and prints its result as JSON. TCP_NODELAY is set, so that each
write is a segment of its own. Every request has a MessageID of its own.
"""

import gc
import itertools
import json
import select
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field

from peers import GET_JOB_ELEMENTS, LOAD_CORE, MESSAGE_ID

PATH = "/front-desk/scan"
SLICE = 0.0001  # seconds before its time at which a request is sent, rather than wait for it once more


@dataclass(frozen=True)
class Load:
    """The load to make. `pieces` is the number of writes for a request.

    With `close`, each request has a connection of its own, and its first byte is sent `delay` seconds after the
    connection was made. With a `rate`, so many requests are sent in a second whether answers arrive or not; without
    it, each connection sends the next request when it has the answer.
    """

    seconds: float = 2.0
    pieces: int = 1
    close: bool = False
    delay: float = 0.0
    rate: float = 0.0
    connections: int = 32


@dataclass
class Result:
    """The number of requests and answers and, with a rate, the milliseconds from the time at which each request was due
    until its answer was complete.
    """

    sent: int = 0
    answered: int = 0
    seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)

    def percentile(self, part: float) -> float:
        """Returns the milliseconds within which this part of the answers arrived."""
        return sorted(self.milliseconds)[min(int(len(self.milliseconds) * part), len(self.milliseconds) - 1)]


class Client:
    """The connections, and the requests that are due or under way."""

    def __init__(self, port: int, load: Load) -> None:
        self._port = port
        self._load = load
        self._result = Result()
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._free: deque[int] = deque()
        self._late: deque[tuple[float, int]] = deque()  # the time of the first byte, and the connection
        self._due: deque[float] = deque()
        self._began: dict[int, float] = {}
        self._missing: dict[int, int] = {}  # bytes of each answer; unknown before its first byte
        body = GET_JOB_ELEMENTS.encode()
        before, _, after = body.partition(MESSAGE_ID.encode())
        head = (f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/soap+xml\r\n"
                f"Connection: {'close' if load.close else 'keep-alive'}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        bodies = [before + f"{MESSAGE_ID[:-12]}{number:012}".encode() + after for number in range(1000)]
        self._requests = itertools.cycle([[head + body] if load.pieces == 1 else [head, body] for body in bodies])

    def run(self) -> Result:
        """Makes the load. Answers to the last requests are waited for, but no longer than ten seconds."""
        load, began = self._load, time.perf_counter()
        end, next_due = began + load.seconds, began
        for _ in range(load.connections):
            self._open()
        while True:
            now = time.perf_counter()
            is_over = now >= end
            if (is_over and not self._began and not self._due) or now >= end + 10:
                break
            if load.rate and not is_over:
                while next_due <= now + SLICE:
                    self._due.append(next_due)
                    next_due += 1 / load.rate
            while self._due and self._free:
                self._send(self._free.popleft(), self._due.popleft())
            while self._late and self._late[0][0] <= now + SLICE:
                self._send(self._late.popleft()[1], now)
            wake = min(next_due if load.rate else end + 10, self._late[0][0] if self._late else end + 10)
            if wake <= end or self._late:
                select.select([self._epoll], [], [], max(0.0, wake - now))  # whose time limits are finer
            for number, _ in self._epoll.poll(0 if wake <= end or self._late else 0.1):
                self._receive(number, is_over)
        self._result.sent += len(self._due)
        self._result.seconds = time.perf_counter() - began
        for connection in self._sockets.values():
            connection.close()
        return self._result

    def _open(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port), 10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        number = connection.fileno()
        self._sockets[number] = connection
        self._epoll.register(number, select.EPOLLIN)
        if self._load.delay:
            self._late.append((time.perf_counter() + self._load.delay, number))
        elif self._load.rate:
            self._free.append(number)
        else:
            self._send(number, time.perf_counter())

    def _send(self, number: int, due: float) -> None:
        connection = self._sockets[number]
        for piece in next(self._requests):
            connection.send(piece)
        self._began[number] = due
        self._result.sent += 1

    def _receive(self, number: int, is_over: bool) -> None:
        data = self._sockets[number].recv(65536)
        load = self._load
        if data and number not in self._missing:
            if not data.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"a status read: {data[:200]!r}")
            head, _, _ = data.partition(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            self._missing[number] = len(head) + 4 + int(length.partition(b":")[2])
        if not data and (not load.close or self._missing.get(number) != 0):
            raise SystemExit("a status read: the connection was closed")
        self._missing[number] -= len(data)
        if (load.close and data) or self._missing[number]:
            return
        began = self._began.pop(number)
        del self._missing[number]
        self._result.answered += 1
        if load.rate:
            self._result.milliseconds.append((time.perf_counter() - began) * 1e3)
        if load.close:
            self._epoll.unregister(number)
            self._sockets.pop(number).close()
            if not is_over:
                self._open()
        elif load.rate:
            self._free.append(number)
        elif not is_over:
            self._send(number, time.perf_counter())


def run(port: int, load: Load) -> Result:
    """Makes the load on a gateway from a process of its own."""
    command = ["taskset", "-c", LOAD_CORE, sys.executable, __file__, str(port), json.dumps(asdict(load))]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=load.seconds + 60).stdout
    return Result(**json.loads(output))


if __name__ == "__main__":
    gc.disable()
    print(json.dumps(asdict(Client(int(sys.argv[1]), Load(**json.loads(sys.argv[2]))).run())))
