"""The client of the Redis server: commands run in threads, and each has an answer or an error within the deadline.

A `RedisConnection` is one thread with one connection to the server, which runs its commands in order. Work that must
not wait for other work, such as the renewal of leases, has a connection of its own.

The deadline holds for a command as a whole: its time in the queue, connecting, and an answer that comes byte by byte.
When it passes, the caller gets `NotNow`, and the connection is closed, so that the late answer is never taken for that
of the next command (redis-py issue 2663).

Connecting takes several answers. So it goes on after the deadline of the command for which it was begun, for a limited
time, and the connection is used for the next one. Else a server that answers late, but in time, could not be used again
once a connection was lost.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from redis import DataError
from twisted.internet.defer import Deferred, DeferredList, fail
from twisted.python.failure import Failure

from wsdgateway.storage.coordination import DEADLINE, NotNow
from wsdgateway.storage.redis.address import ServerAddress
from wsdgateway.storage.redis.bell import Bell
from wsdgateway.storage.redis.connecting import ERRORS, Server, ends_connection, no_answer, not_now
from wsdgateway.storage.store import StoreError

MAX_WAITING = 1000  # commands of one connection that have no answer yet
LONGEST_CONNECTING = 5.0  # deadlines
LONGEST_WAIT = 0.5  # deadlines that a command waits for a slow connection; then it may get no answer in time

T = TypeVar("T")


class _Job(Generic[T]):
    """A command on its way. `is_late` becomes true when its deadline passes; guarded by the connection's lock."""

    def __init__(self, command: Callable[[Any], T], started: float) -> None:
        self.command = command
        self.started = started
        self.is_late = False
        self.answered: Deferred[T] = Deferred()
        self.timer: Any = None


class RedisConnection:
    """A thread with a connection to the server. `observe` is called with the seconds that each answered command took.

    `deadline` is that of a command, in seconds.
    """

    def __init__(self, reactor: Any, address: ServerAddress, name: str, observe: Callable[[float], None],
                 deadline: float) -> None:
        self._reactor = reactor
        self._address = address
        self._observe = observe
        self._deadline = deadline
        self._server = Server(address, deadline)
        self._name = name
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._unanswered: set[_Job[Any]] = set()
        self._lock = threading.Lock()
        self._running: _Job[Any] | None = None
        self._is_connecting = False  # for the command that is running; guarded by the lock
        self._usable_from = float("-inf")  # commands from before have waited for a slow connection for too long
        self._thread: threading.Thread | None = None
        self._ended: Deferred[None] | None = None

    def run(self, command: Callable[[Any], T]) -> Deferred[T]:
        """Calls `command` with a `redis.Redis` in the thread, and returns its result.

        The Deferred fails with `NotNow` if there is no answer within the deadline, if the server cannot serve, or if
        `MAX_WAITING` commands wait already; with any other exception that `command` raises. `command` may send
        several commands to the server, but must not keep the `redis.Redis`.
        """
        if self._ended is not None:
            return fail(NotNow(f"{self._address.text}: the connection is closed"))
        if len(self._unanswered) >= MAX_WAITING:
            return fail(NotNow(f"{self._address.text}: {MAX_WAITING} commands wait for an answer already"))
        job = _Job(command, self._reactor.seconds())
        self._unanswered.add(job)
        job.timer = self._reactor.callLater(self._deadline, self._pass_deadline, job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"redis-{self._name}", daemon=True)
            self._thread.start()
        self._jobs.put(job)
        return job.answered

    def close(self) -> Deferred[None]:
        """Runs what waits, within its deadline, and ends the thread and its connection.

        Fires when they have ended, or after the deadline at the latest.
        """
        if self._ended is None:
            self._ended = Deferred()
            self._jobs.put(None)
            if self._thread is None:
                self._ended.callback(None)
            else:
                self._timer = self._reactor.callLater(self._deadline, self._end_now)
        waiting: Deferred[None] = Deferred()
        self._ended.addCallback(lambda _: waiting.callback(None))
        return waiting

    def leave(self, place: tuple[str, int]) -> None:
        """Ends the connection if it is to that host and port. A command under way fails, the next one connects."""
        if self._server.place == place:
            self._server.break_off()

    def _end_now(self) -> None:
        self._server.break_off()
        if self._ended is not None and not self._ended.called:
            self._ended.callback(None)

    def _thread_ended(self) -> None:
        if self._timer.active():
            self._timer.cancel()
            self._end_now()

    def _pass_deadline(self, job: _Job[Any]) -> None:
        with self._lock:
            job.is_late = True
            is_connecting = self._running is job and self._is_connecting
            if self._running is job and not is_connecting:
                self._server.break_off()
        self._answer(job, Failure(no_answer(self._address, self._deadline)))
        if is_connecting:
            job.timer = self._reactor.callLater((LONGEST_CONNECTING - 1) * self._deadline, self._end_connecting, job)

    def _end_connecting(self, job: _Job[Any]) -> None:
        with self._lock:
            if self._running is job:
                self._server.break_off()

    def _forget(self, job: _Job[Any]) -> None:
        if job.timer.active():
            job.timer.cancel()

    def _answer(self, job: _Job[Any], result: Any) -> None:
        if job not in self._unanswered:
            return
        self._unanswered.discard(job)
        self._forget(job)
        if not (isinstance(result, Failure) and result.check(NotNow)):
            self._observe(self._reactor.seconds() - job.started)
        job.answered.callback(result)

    def _work(self) -> None:
        """The thread."""
        while (job := self._jobs.get()) is not None:
            with self._lock:
                if job.is_late:
                    continue
                self._running, self._is_connecting = job, True
            result = self._result(job)
            with self._lock:
                self._running = None
                is_late = job.is_late
            if is_late:
                if not self._is_connecting:  # its answer may still come
                    self._server.disconnect()
                self._reactor.callFromThread(self._forget, job)
            else:
                self._reactor.callFromThread(self._answer, job, result)
        self._server.disconnect()
        self._reactor.callFromThread(self._thread_ended)

    def _result(self, job: _Job[Any]) -> Any:
        try:
            longest = LONGEST_WAIT * self._deadline
            began = self._reactor.seconds()
            redis = self._server.redis()
            connected = self._reactor.seconds()
            if connected - began > longest:
                self._usable_from = connected - longest
            with self._lock:
                if job.is_late or job.started < self._usable_from:
                    raise NotNow(f"{self._address.text}: the server has answered late")
                self._is_connecting = False
            return job.command(redis)
        except (StoreError, DataError):  # DataError: an argument that redis-py did not send
            return Failure()
        except ERRORS as error:
            if ends_connection(error):
                self._server.disconnect()
            return Failure(not_now(self._address, error, self._deadline))
        except BaseException:
            self._server.disconnect()
            return Failure()


class RedisClient:
    """The client of one server. Its connections and threads are made when they are used first.

    While it listens to the bell, its connections to a server that is no longer the master are ended within seconds.

    `observe` is called with the seconds that each command took; `deadline` is that of a command, in seconds.
    """

    def __init__(self, reactor: Any, address: ServerAddress, observe: Callable[[float], None] = lambda seconds: None,
                 deadline: float = DEADLINE) -> None:
        self.address = address
        self._reactor = reactor
        self._observe, self._deadline = observe, deadline
        self._connections: dict[str, RedisConnection] = {}
        self._bell = Bell(reactor, address, deadline, self._leave)

    def connection(self, name: str) -> RedisConnection:
        """Returns the connection of that name, always the same object."""
        if name not in self._connections:
            self._connections[name] = RedisConnection(self._reactor, self.address, name, self._observe,
                                                      self._deadline)
        return self._connections[name]

    def listen(self, rung: Callable[[bytes], None]) -> None:
        """Calls `rung` with the message whenever a gateway rings the bell; empty after each new connection."""
        self._bell.listen(rung)

    def _leave(self, place: tuple[str, int]) -> None:
        for one in self._connections.values():
            one.leave(place)

    def close(self) -> Deferred[None]:
        """Closes all connections, within the deadline; no more commands can be run."""
        closing = [one.close() for one in self._connections.values()]
        return DeferredList([*closing, self._bell.close()]).addCallback(lambda _: None)
