"""A link: a port of loopback whose connections are passed on to another port, and which can fail in two ways.

It can be cut, so that connections are closed and refused, and it can swallow: connections stay open, and what is sent
arrives only when the link works again, as with packets that are lost for a time.
"""

import contextlib
import select
import socket
import threading

PIECE = 65536
CONNECT_SECONDS = 10.0
LOOK_SECONDS = 0.05  # between two looks at the state of the link


class Link:
    """A link to a port of loopback."""

    def __init__(self, target):
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listening.getsockname()[1]
        self._flows, self._is_cut, self._is_stopped = threading.Event(), False, False
        self._flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def cut(self):
        """Closes every connection and refuses new ones in the block."""
        self._is_cut = True
        try:
            yield
        finally:
            self._is_cut = False

    @contextlib.contextmanager
    def swallowing(self):
        """Passes nothing on in the block; connections stay open, and new ones are accepted."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    def stop(self):
        """Closes the port and every connection."""
        self._is_stopped = True
        self._flows.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self):
        while True:
            try:
                here, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(here,), daemon=True).start()

    def _pass(self, here):
        with contextlib.suppress(OSError), here:
            if self._is_cut:
                return
            with socket.create_connection(("127.0.0.1", self._target), CONNECT_SECONDS) as there:
                for one in (here, there):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                there.settimeout(None)
                self._exchange({here: there, there: here})

    def _exchange(self, others):
        while not (self._is_cut or self._is_stopped):
            if not self._flows.wait(LOOK_SECONDS):
                continue
            for ready in select.select(list(others), [], [], LOOK_SECONDS)[0]:
                if not self._flows.is_set():
                    break
                data = ready.recv(PIECE)
                if not data:
                    return
                others[ready].sendall(data)
