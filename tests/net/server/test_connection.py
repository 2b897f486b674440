"""Tests of net.server.connection: the states of a client's connection, and the transitions with their actions."""

import pytest
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from tests.httpserver import MemoryServer
from wsdgateway.http.requests import Refusal
from wsdgateway.net.server.connection import LINGER_SECONDS, MAX_LINGER_BYTES
from wsdgateway.net.server.connectionstates import (
    ABORTED,
    ANSWERING,
    ARRIVING,
    BEGINNING,
    CLOSING,
    GONE,
    INPUTS,
    LINGERING,
    LOST,
    STATES,
    TRANSITIONS,
    WAITING,
    table,
)

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
LAST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
NONSENSE = b"nonsense\r\n\r\n"

CLOSE, HALF_CLOSE, ABORT, STOP_READING, START_READING = "close", "half-close", "abort", "stop reading", "start reading"


class Conversation:
    """A connection brought into a state by the actions of a client, the server and the clock.

    `done` returns the calls of the transport and the statuses written since the last call.
    """

    def __init__(self):
        self.exchanges = []
        self.server = MemoryServer(self.exchanges.append, header_timeout=5.0, keepalive_timeout=9.0)
        self.connection, self.transport = self.server.connect()
        self._done = []
        self._seen = 0
        for name, what in (("loseConnection", CLOSE), ("loseWriteConnection", HALF_CLOSE), ("abortConnection", ABORT),
                           ("stopReading", STOP_READING), ("startReading", START_READING)):
            setattr(self.transport, name, lambda what=what: self._done.append(what))
        self.transport.unregisterProducer = lambda: None  # a socket tolerates repeated calls

    def done(self):
        raw = self.transport.value()[self._seen:]
        self._seen += len(raw)
        done, self._done = [int(part[:3]) for part in raw.split(b"HTTP/1.1 ")[1:]] + self._done, []
        return done

    # Actions, by name.

    def some(self):
        self.connection.dataReceived(REQUEST[:20])

    def blank(self):
        self.connection.dataReceived(b"\r\n")

    def rest(self):
        self.connection.dataReceived(REQUEST[20:])

    def whole(self):
        self.connection.dataReceived(REQUEST)

    def pipelined(self):
        self.connection.dataReceived(REQUEST + REQUEST)

    def whole_and_some(self):
        self.connection.dataReceived(REQUEST + REQUEST[:20])

    def whole_and_nonsense(self):
        self.connection.dataReceived(REQUEST + NONSENSE)

    def last(self):
        self.connection.dataReceived(LAST)

    def expecting(self):
        self.connection.dataReceived(REQUEST[:-6] + b"\r\nExpect: 100-continue\r\n\r\n")

    def nonsense(self):
        self.connection.dataReceived(NONSENSE)

    def flood(self):
        self.connection.dataReceived(bytes(MAX_LINGER_BYTES))

    def answered(self):
        self.exchanges.pop(0).answer(200, b"")

    def broken_off(self):
        self.exchanges.pop(0).abort()

    def image(self):
        self.exchanges[0].on_gone = lambda: None

    def five(self):
        self.server.reactor.advance(5.0)

    def nine(self):
        self.server.reactor.advance(9.0)

    def linger(self):
        self.server.reactor.advance(LINGER_SECONDS)

    def half_closed(self):
        self.connection.readConnectionLost()

    def drain(self):
        self.connection.drain()

    def draining(self):
        self.server.factory.drain()

    def abort(self):
        self.connection.abort()

    def pause(self):
        self.connection.pauseProducing()

    def resume(self):
        self.connection.resumeProducing()

    def lost(self):
        self.connection.connectionLost(Failure(ConnectionLost()))


# Previous steps, the step under test, the state that follows, and the actions.
CASES = [
    ("", "some", ARRIVING, []),
    ("", "blank", ARRIVING, []),
    ("", "whole", ANSWERING, []),
    ("", "last", ANSWERING, []),
    ("", "nonsense", LINGERING, [400, HALF_CLOSE]),
    ("", "five", LINGERING, [CLOSE]),
    ("", "half_closed", CLOSING, [CLOSE]),
    ("", "drain", CLOSING, [CLOSE]),
    ("", "abort", ABORTED, [ABORT]),
    ("", "lost", GONE, []),
    ("", "pipelined", ANSWERING, [STOP_READING]),
    ("", "expecting", ARRIVING, [100]),
    ("some", "some", LINGERING, [400, HALF_CLOSE]),
    ("some", "rest", ANSWERING, []),
    ("some", "five", LINGERING, [408, HALF_CLOSE]),
    ("blank", "five", LINGERING, [CLOSE]),
    ("some", "half_closed", CLOSING, [CLOSE]),
    ("some", "drain", CLOSING, [CLOSE]),
    ("some", "abort", ABORTED, [ABORT]),
    ("some", "lost", GONE, []),
    ("whole", "answered", WAITING, [200]),
    ("last", "answered", CLOSING, [200, CLOSE]),
    ("whole_and_some", "answered", ARRIVING, [200]),
    ("whole_and_nonsense", "answered", LINGERING, [200, 400, HALF_CLOSE]),
    ("pipelined", "answered", ANSWERING, [200, START_READING]),
    ("whole draining", "answered", CLOSING, [200, CLOSE]),
    ("whole half_closed", "answered", CLOSING, [200, CLOSE]),
    ("whole", "half_closed", ANSWERING, []),
    ("whole image", "half_closed", ABORTED, [ABORT]),
    ("whole", "drain", ANSWERING, []),
    ("whole", "nine", ANSWERING, []),
    ("whole", "some", ANSWERING, []),
    ("whole", "nonsense", ANSWERING, []),
    ("whole", "abort", ABORTED, [ABORT]),
    ("whole", "broken_off", ABORTED, [ABORT]),
    ("whole", "lost", GONE, []),
    ("whole pause", "nine", ABORTED, [ABORT]),
    ("whole answered", "five", WAITING, []),
    ("whole answered", "nine", LINGERING, [CLOSE]),
    ("whole answered", "whole", ANSWERING, []),
    ("whole_and_some answered", "five", LINGERING, [408, HALF_CLOSE]),
    ("pause", "whole", WAITING, [STOP_READING]),
    ("pause", "some", WAITING, []),
    ("pause", "five", WAITING, []),
    ("pause", "nine", ABORTED, [ABORT]),
    ("pause whole", "resume", ANSWERING, [START_READING]),
    ("pause pipelined", "resume", ANSWERING, []),
    ("pause whole", "half_closed", WAITING, []),
    ("pause whole half_closed resume", "answered", CLOSING, [200, CLOSE]),
    ("drain", "whole", CLOSING, []),
    ("drain", "nine", LINGERING, [CLOSE]),
    ("drain", "abort", ABORTED, [ABORT]),
    ("drain", "drain", CLOSING, []),
    ("drain", "lost", GONE, []),
    ("nonsense", "whole", LINGERING, []),
    ("nonsense", "flood", ABORTED, [ABORT]),
    ("nonsense", "linger", ABORTED, [ABORT]),
    ("nonsense", "half_closed", LINGERING, [CLOSE]),
    ("nonsense", "drain", LINGERING, []),
    ("nonsense", "lost", GONE, []),
    ("five", "linger", ABORTED, [ABORT]),
    ("five", "whole", LINGERING, []),
    ("abort", "whole", ABORTED, []),
    ("abort", "abort", ABORTED, []),
    ("abort", "nine", ABORTED, []),
    ("abort", "drain", ABORTED, []),
    ("whole abort", "answered", ABORTED, [200]),
    ("abort", "lost", GONE, []),
    ("whole lost", "answered", GONE, []),
    ("lost", "drain", GONE, []),
    ("lost", "abort", GONE, []),
]


@pytest.mark.parametrize(("before", "happens", "state", "done"), CASES)
def test_transitions_between_states(before, happens, state, done):
    conversation = Conversation()
    for name in before.split():
        getattr(conversation, name)()
    conversation.done()
    getattr(conversation, happens)()
    assert (conversation.connection.state, conversation.done()) == (state, done)


def test_a_connection_is_beginning_while_a_request_is_handed_over():
    states = []
    server = MemoryServer(lambda exchange: (states.append(protocol.state), exchange.answer(200, b""),
                                            states.append(protocol.state)))
    protocol, _ = server.connect()
    protocol.dataReceived(REQUEST * 2)
    assert states == [BEGINNING, WAITING] * 2


def test_a_connection_above_the_limit_is_refused_and_lingers():
    server = MemoryServer(connections=0)
    protocol, transport = server.connect()
    assert (protocol.state, transport.half, server.refusals[0].status) == (LINGERING, True, 503)


def test_the_table_is_complete_and_every_state_reachable():
    transitions = table()
    assert set(transitions) == set(STATES)
    assert all(set(row) == set(INPUTS) for row in transitions.values())
    assert len({(state, happened) for state, happened, _, _ in TRANSITIONS}) == len(TRANSITIONS)
    reached = {WAITING}
    for _ in STATES:
        reached |= {following for state in reached for following, _ in transitions[state].values()}
    assert reached == set(STATES)
    assert all(transitions[state][LOST][0] == GONE for state in STATES)
    assert {following for following, _ in transitions[GONE].values()} == {GONE}


def test_answers_have_a_date():
    protocol, transport = MemoryServer().connect()
    protocol.dataReceived(REQUEST)
    assert b"\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n" in transport.value()


def test_reading_pauses_while_an_answer_is_pending():
    exchanges = []
    protocol, transport = MemoryServer(exchanges.append).connect()
    protocol.dataReceived(REQUEST * 3)
    assert len(exchanges) == 1
    assert transport.producerState == "paused"
    for _ in range(3):
        exchanges[-1].answer(200, b"x")
    assert len(exchanges) == 3
    assert transport.value().count(b"HTTP/1.1 200 OK") == 3
    assert transport.producerState == "producing"


def test_a_slow_body_ends_with_408_and_a_running_answer_is_not_hurried():
    exchanges = []
    server = MemoryServer(exchanges.append, header_timeout=5.0, keepalive_timeout=7.0)
    slow, slow_transport = server.connect()
    slow.dataReceived(REQUEST[:-1])
    busy, busy_transport = server.connect()
    busy.dataReceived(REQUEST)
    server.reactor.pump([1.0] * 60)
    assert slow_transport.value().startswith(b"HTTP/1.1 408 ")
    assert server.refusals == [Refusal(408, "The request took too long.")]
    assert not busy_transport.disconnecting
    exchanges[0].answer(200, b"")
    server.reactor.pump([1.0] * 8)
    assert busy_transport.disconnecting


def test_the_time_limit_of_a_request_begins_with_its_first_byte():
    server = MemoryServer(header_timeout=5.0, keepalive_timeout=60.0)
    protocol, transport = server.connect()
    protocol.dataReceived(REQUEST)
    server.reactor.pump([1.0] * 50)
    protocol.dataReceived(REQUEST[:10])
    server.reactor.pump([1.0] * 4)
    assert not getattr(transport, "half", False)
    server.reactor.pump([1.0] * 2)
    assert b"HTTP/1.1 408 " in transport.value()
    assert transport.half
    server.reactor.pump([1.0] * 3)
    assert transport.disconnecting or transport.disconnected


class KnownRequest:
    """Repeated reads that consist of one request, which is answered with `known`."""

    def serve(self, raw, client, peer, server, at_once):
        return (b"known", raw == REQUEST) if raw in (REQUEST, LAST) else None

    def is_partial(self, raw):
        return len(raw) >= len(REQUEST) - 2 and REQUEST.startswith(raw)


@pytest.fixture
def knowing():
    """A server in memory that knows the request."""
    return MemoryServer(repeats=KnownRequest(), header_timeout=5.0, keepalive_timeout=9.0)


def test_a_known_request_is_answered_without_being_read(knowing):
    connection, transport = knowing.connect()
    connection.dataReceived(REQUEST)
    assert (transport.value(), connection.state) == (b"known", WAITING)
    connection.dataReceived(LAST)
    assert (transport.value(), connection.state) == (b"knownknown", CLOSING)


def test_a_known_request_is_read_in_full_while_the_client_does_not_read_its_answers(knowing):
    connection, transport = knowing.connect()
    connection.pauseProducing()
    connection.dataReceived(REQUEST)
    assert transport.value() == b""
    connection.resumeProducing()
    assert transport.value().startswith(b"HTTP/1.1 200 OK")


def test_a_connection_that_only_repeats_known_requests_counts_as_idle_in_between():
    server = MemoryServer(repeats=KnownRequest(), connections=2)
    (first, kept), (second, closed) = server.connect(), server.connect()
    for connection in (first, second, first):
        connection.dataReceived(REQUEST)
    server.connect()
    assert (kept.disconnecting, closed.disconnecting) == (False, True)


def test_a_known_request_that_is_not_completed_in_time_ends_with_408(knowing):
    connection, transport = knowing.connect()
    connection.dataReceived(REQUEST[:-1])
    assert connection.state is ARRIVING
    knowing.reactor.advance(4.0)
    connection.dataReceived(REQUEST[-1:])
    assert transport.value() == b"known"
    connection.dataReceived(REQUEST[:-1])
    knowing.reactor.advance(5.1)
    assert transport.value().startswith(b"knownHTTP/1.1 408 ")
    assert [refusal.status for refusal in knowing.refusals] == [408]


def test_a_known_request_that_breaks_off_is_recorded(knowing):
    broken_off = []
    knowing.factory.broken_off = broken_off.append
    connection, _ = knowing.connect()
    connection.dataReceived(REQUEST[:-1])
    connection.connectionLost(Failure(ConnectionLost()))
    assert broken_off == [connection]
    assert connection.path == b"/"


def test_a_client_that_closes_in_a_known_request_is_left(knowing):
    connection, transport = knowing.connect()
    connection.dataReceived(REQUEST[:-1])
    connection.readConnectionLost()
    assert transport.disconnecting
    assert connection.state is CLOSING


def test_a_request_that_only_begins_like_a_known_one_is_read_in_full(knowing):
    connection, transport = knowing.connect()
    connection.dataReceived(REQUEST[:-1])
    connection.dataReceived(b"o")
    assert transport.value().endswith(b"\r\n\r\nho")
    connection.dataReceived(REQUEST[:-2])
    connection.dataReceived(b"hi" + REQUEST)
    assert transport.value().count(b"HTTP/1.1 200 OK") == 3
