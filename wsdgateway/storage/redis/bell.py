"""The bell: a channel of the server by which gateways tell each other to look at the server's state at once.

It is a hint and nothing hangs on it: a message may be lost while the connection is down. So each new connection counts
as a ring, after the server has confirmed it.

With Sentinel its thread also asks which server is the master, since a former master that is cut off from the Sentinels
goes on answering those who still reach it.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis
from twisted.internet.defer import Deferred

from wsdgateway.storage.redis import keys
from wsdgateway.storage.redis.address import ServerAddress
from wsdgateway.storage.redis.connecting import ERRORS, Server

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0  # seconds between attempts to connect
PING_AFTER = 5.0  # seconds of silence; a server that does not answer the ping within the deadline counts as gone
ASK_AFTER = 5.0  # seconds between two questions to a Sentinel


class Bell:
    """A thread that waits for rings, with a connection of its own. `deadline` is that of an answer, in seconds.

    `replaced` is called with host and port of a server in whose place a Sentinel names another master.
    """

    def __init__(self, reactor: Any, address: ServerAddress, deadline: float,
                 replaced: Callable[[tuple[str, int]], None]) -> None:
        self._reactor = reactor
        self._deadline = deadline
        self._has_sentinels = address.master_name is not None
        self._replaced = replaced
        self._asked = 0.0
        self._epoch = 0  # of the latest failover known; a Sentinel that was cut off may name an earlier master
        self._server = Server(address, deadline)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._rung: Callable[[bytes], None] | None = None
        self._ended: Deferred[None] = Deferred()
        self._timer: Any = None

    def listen(self, rung: Callable[[bytes], None]) -> None:
        """Calls `rung` with the message of each ring from now on, and with an empty one after each new connection."""
        self._rung = rung
        if self._thread is None and not self._closing.is_set():
            self._thread = threading.Thread(target=self._work, name="redis-bell", daemon=True)
            self._thread.start()

    def close(self) -> Deferred[None]:
        """Ends the thread; fires when it has ended, or after the deadline at the latest."""
        if self._closing.is_set():
            return self._ended
        self._closing.set()
        if self._thread is None:
            self._ended.callback(None)
        else:
            self._timer = self._reactor.callLater(self._deadline, self._thread_ended)
            self._server.break_off()
        return self._ended

    def _thread_ended(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if not self._ended.called:
            self._ended.callback(None)

    def _ring(self, message: bytes) -> None:
        if self._rung is not None and not self._closing.is_set():
            self._rung(message)

    def _work(self) -> None:
        """The thread."""
        pause = FIRST_PAUSE
        while not self._closing.is_set():
            with suppress(*ERRORS):
                for message in self._messages():
                    pause = FIRST_PAUSE
                    self._reactor.callFromThread(self._ring, message)
            self._server.disconnect()
            self._closing.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        self._reactor.callFromThread(self._thread_ended)

    def _look_for_master(self) -> None:
        """Raises `redis.ConnectionError` if another server has become the master."""
        now = self._reactor.seconds()
        if not self._has_sentinels or now - self._asked < ASK_AFTER:
            return
        self._asked = now
        try:
            master = self._server.watched_master()
        except ERRORS:
            return  # the server itself answers
        if master.epoch < self._epoch:
            return
        self._epoch = master.epoch
        former = self._server.place
        if former is not None and former != master.place:
            self._reactor.callFromThread(self._replaced, former)
            raise redis.ConnectionError("another server is the master")

    def _messages(self) -> Any:
        """Yields the messages until the connection ends. Raises errors of redis-py and `OSError`."""
        subscription = self._server.redis().pubsub()
        subscription.subscribe(keys.BELL)
        has_been_pinged = True  # as good as a ping: the confirmation is awaited
        while not self._closing.is_set():
            self._look_for_master()
            found = subscription.get_message(timeout=self._deadline if has_been_pinged else PING_AFTER)
            if found is None:
                if has_been_pinged:
                    return
                subscription.ping()
                has_been_pinged = True
                continue
            has_been_pinged = False
            if found["type"] == "subscribe":
                yield b""
            elif found["type"] == "message":
                yield found["data"]
