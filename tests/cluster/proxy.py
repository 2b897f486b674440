"""A proxy that records each HTTP exchange, and each connection, between the gateways and their scanner.

The gateways reach the scanner through one, and the scanner reaches them through another, so both sides of a run are
recorded in this process and by one clock. Bytes are passed on unchanged.
"""

import contextlib
import select
import socket
import threading
import time

import attrs

from wsdgateway.http.requests import Request, RequestReader
from wsdgateway.http.responses import BadAnswer, Data, End, Head, ResponseReader

PIECE = 65536
MOST_BODY = 1 << 20  # bytes of a request
KEPT_BODY = 1 << 20  # bytes of an answer that are kept: more than the image of a page
CONNECT_SECONDS = 10.0
LATE_SECONDS = 2.0  # for an answer that its receiver does not wait for any more: it may tell of a job


@attrs.frozen
class Exchange:
    """A request and its answer. `end` is when the answer had been received here, None without one.

    `here` and `there` name who sent the request and who it was passed on to, as the proxy was told. With an answer but
    without `end`, the sender had closed the connection before the answer came.
    """

    begin: float
    end: float | None
    here: str | None
    there: str | None
    request: bytes
    status: int | None = None
    answer: bytes = b""


class RecordingProxy:
    """A port on loopback whose connections are passed on.

    `target` returns the name and the port to connect to, or None to refuse. `on_exchange` gets each `Exchange`;
    `on_connection` the moments of opening and closing, and the name that `who` returns for the other side's port.
    """

    def __init__(self, target, on_exchange, *, host="127.0.0.1", on_connection=None, who=lambda port: None):
        self._target, self._on_exchange, self._on_connection, self._who = target, on_exchange, on_connection, who
        self._listening = socket.create_server((host, 0), backlog=128)
        self.port = self._listening.getsockname()[1]
        self._open, self._running = {}, set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def open_connections(self):
        """The open connections: of each the moment at which it was opened, and the name of the other side."""
        with self._lock:
            return list(self._open.values())

    def is_asked(self, part):
        """Whether a request that contains these bytes has been passed on and has no answer yet."""
        with self._lock:
            return any(part in (one.request or b"") for one in self._running)

    def stop(self):
        """Closes the port and every connection."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def cut(self):
        """Closes every connection."""
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                here, address = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(here, address[1], time.monotonic()), daemon=True).start()

    def _serve(self, here, port, opened):
        name = self._who(port)
        with self._lock:
            self._open[here] = opened, name
        passing = None
        try:
            target = self._target()
            if target is None:
                return
            there = socket.create_connection(("127.0.0.1", target[1]), CONNECT_SECONDS)
            for one in (here, there):
                one.settimeout(None)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            passing = _Passing(here, there, name, target[0], self._on_exchange)
            with self._lock:
                self._running.add(passing)
            passing.run()
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.pop(here, None)
                self._running.discard(passing)
            here.close()
            if self._on_connection is not None:
                self._on_connection(opened, time.monotonic(), name)
            if passing is not None:
                passing.close()


class _Passing:
    """One connection. Each side sends one request, or its answer, at a time. `request` is the one without an answer."""

    def __init__(self, here, there, here_name, there_name, on_exchange):
        self._here, self._there, self._names, self._on_exchange = here, there, (here_name, there_name), on_exchange
        self._requests, self._answers = RequestReader(MOST_BODY), None
        self.request, self._began, self._head, self._body = None, 0.0, None, b""
        self._is_late = False

    def run(self):
        """Passes bytes on until one side closes."""
        while True:
            for ready in select.select([self._here, self._there], [], [])[0]:
                data = ready.recv(PIECE)
                if not data:
                    return
                if ready is self._here:
                    self._asked(data)
                    self._there.sendall(data)
                else:
                    self._answered(data)
                    self._here.sendall(data)

    def close(self):
        """Closes the connection to the target, and records a request that was not answered in time.

        The answer may come nevertheless, and tell of a job. An image is not waited for, so that the scanner sees at
        once that nobody fetches it.
        """
        self._is_late = True
        with contextlib.suppress(OSError), self._there:
            self._there.settimeout(LATE_SECONDS)
            while self.request is not None and b"/RetrieveImage<" not in self.request:
                data = self._there.recv(PIECE)
                if not data:
                    break
                self._answered(data)
        self._report(None)

    def _asked(self, data):
        for event in self._requests.feed(data):
            if isinstance(event, Request):
                self.request, self._began = event.body, time.monotonic()
                self._answers, self._head, self._body = ResponseReader(), None, b""

    def _answered(self, data):
        if self._answers is None:
            return
        try:
            events = self._answers.feed(data)
        except BadAnswer:
            self._answers = None
            return
        for event in events:
            if isinstance(event, Head):
                self._head = event
            elif isinstance(event, Data) and len(self._body) < KEPT_BODY:
                self._body += bytes(event.data)
            elif isinstance(event, End):
                self._report(None if self._is_late else time.monotonic(), self._head.status, self._body)

    def _report(self, end, status=None, answer=b""):
        if self.request is not None:
            request, self.request = self.request, None
            self._on_exchange(Exchange(self._began, end, *self._names, request, status, answer))
