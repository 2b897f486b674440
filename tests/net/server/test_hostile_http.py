"""Hostile clients at the HTTP server: each gets its answer, costs a bounded amount, and leaves no trace.

RFC 9112 sections 2.2, 7.1, 8 and 9.5. A refusal has the status that its clause requires.
"""

import tracemalloc

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from tests.httpserver import MemoryServer, answers, is_open
from tests.net.server.http_cases import CHUNKED, HELLO, POST
from wsdgateway.http.requests import MAX_FRAMING_FACTOR, MAX_HEADER_BLOCK, MAX_HEADERS
from wsdgateway.net.server.connection import LINGER_SECONDS, MAX_LINGER_BYTES

READ = 65536  # as much as a transport delivers at once
BODY = 20000
LINE = 2 * MAX_HEADER_BLOCK  # between two pieces of a body
FRAMING = MAX_FRAMING_FACTOR * BODY + LINE
WHOLE = POST + HELLO


def statuses(transport):
    return [answer.status for answer in answers(transport.value())]


def check_that_nothing_is_left(server):
    """Checks that the next client gets its own answer, and that nothing is kept of the clients before it."""
    server.factory.respond = lambda exchange: exchange.answer(200, exchange.request.body)
    protocol, transport = server.connect()
    protocol.dataReceived(WHOLE)
    [answer] = answers(transport.value())
    assert (answer.status, answer.body) == (200, b"hello")
    protocol.connectionLost(Failure(ConnectionDone()))
    assert not server.factory.connections
    assert not server.reactor.getDelayedCalls()


def leave(protocol):
    protocol.connectionLost(Failure(ConnectionLost()))


@pytest.mark.parametrize(("begin", "again", "status", "most"), [
    (b"", b"POST /", 400, READ), (b"POST /", b"x" * 100, 431, MAX_HEADER_BLOCK),
    (b"POST / HTTP/1.", b"1" * 100, 400, 0), (POST + b"X: ", b"x" * 100, 431, MAX_HEADER_BLOCK),
    (POST, b"x" * 100, 431, MAX_HEADER_BLOCK), (POST, b"X: y\r\n", 431, 6 * MAX_HEADERS),
    (POST, b"X: " + b"y" * 1000 + b"\r\n", 431, MAX_HEADER_BLOCK), (POST, b"Host: x\r\n", 431, 9 * MAX_HEADERS),
    (POST, b"Content-Length: 1\r\n", 400, 200), (POST + b"X:", b" " * 100, 431, MAX_HEADER_BLOCK),
    (POST + b"Expect: ", b"100-continue,", 431, MAX_HEADER_BLOCK),
    (CHUNKED, b"0" * 100, 400, LINE), (CHUNKED + b"1;", b"x" * 100, 400, LINE),
    (CHUNKED, b"1;" + b"x" * 1000 + b"\r\na\r\n", 400, FRAMING), (CHUNKED, b"1;a=b\r\na\r\n", 400, FRAMING),
    (CHUNKED, b"1\r\na\r\n", 413, 6 * BODY), (CHUNKED, b"3e8\r\n" + b"a" * 1000 + b"\r\n", 413, 2 * BODY),
    (CHUNKED + b"ffffffffffffffff\r\n", b"a" * 1000, 413, BODY),
    (CHUNKED + b"0\r\n", b"X: y\r\n", 431, 2 * MAX_HEADER_BLOCK),
    (CHUNKED + b"0\r\nX: ", b"y" * 1000, 400, LINE), (CHUNKED + b"0\r\n", b"X", 400, LINE),
    (CHUNKED + b"1\r\nx\r\n0\r\nX:", b" " * 100, 400, LINE),
    (POST + b"Connection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;a=b\r\na\r\n", 400,
     FRAMING),
])
@pytest.mark.parametrize("size", [100, READ], ids=["slices", "reads"])
def test_endless_requests_are_refused(begin, again, status, most, size):
    server = MemoryServer(request_body=BODY)
    protocol, transport = server.connect()
    protocol.dataReceived(begin)
    piece = again * max(1, size // len(again))
    read = 0
    while not transport.value():
        assert read <= most
        protocol.dataReceived(piece)
        read += len(piece)
    assert statuses(transport) == [status]
    assert not is_open(transport)
    assert [refusal.status for refusal in server.refusals] == [status]
    leave(protocol)
    check_that_nothing_is_left(server)


@pytest.mark.parametrize("chunk", [b"1\r\nx\r\n", b"2\r\nxx\r\n", b"3\r\nxyz\r\n"])
def test_the_memory_for_tiny_chunks_is_proportional_to_the_body(chunk):
    """A million pieces of one byte, kept as separate objects, would take fifty times their size."""
    body = 1 << 20
    server = MemoryServer(lambda exchange: exchange.answer(200, b"%d" % len(exchange.request.body)), request_body=body)
    protocol, transport = server.connect()
    content = chunk.split(b"\r\n")[1]
    pieces = chunk * 4000
    protocol.dataReceived(CHUNKED)
    tracemalloc.start()
    for _ in range(body // len(content) // 4000):
        protocol.dataReceived(pieces)
    protocol.dataReceived(b"0\r\n\r\n")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    [answer] = answers(transport.value())
    assert int(answer.body) == body // len(content) // 4000 * 4000 * len(content)
    assert peak < 4 * body
    leave(protocol)
    check_that_nothing_is_left(server)


def test_after_a_refusal_nothing_is_kept_and_lingering_is_bounded():
    server = MemoryServer()
    protocol, transport = server.connect()
    protocol.dataReceived(b"nonsense\r\n\r\n" + WHOLE)
    before = transport.value()
    for _ in range(MAX_LINGER_BYTES // READ - 1):
        protocol.dataReceived(WHOLE.ljust(READ))
        assert not transport.disconnecting
    protocol.dataReceived(bytes(READ))
    assert transport.disconnecting
    assert transport.value() == before
    leave(protocol)
    another, its_transport = server.connect()
    another.dataReceived(b"nonsense\r\n\r\n")
    server.reactor.advance(LINGER_SECONDS)
    assert its_transport.disconnecting
    leave(another)
    check_that_nothing_is_left(server)


@pytest.mark.parametrize(("before", "data", "status"), [
    (b"", b"POST /", 408), (b"", POST + b"X: ", 408), (b"", POST + b"Content-Length: 500\r\n\r\nhello", 408),
    (b"", CHUNKED + b"5;", 408), (b"", CHUNKED + b"ffff\r\n", 408),
    (b"", CHUNKED + b"0\r\nX: ", 408), (WHOLE, b"POST /", 408), (WHOLE, POST + b"Content-Length: 500\r\n\r\n", 408),
    (b"", POST + b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 500\r\n\r\n", 408),
    (b"", POST + b"Expect: 100-continue\r\nContent-Length: 500\r\n\r\n", 408)])
@pytest.mark.parametrize("drip", [b"x", b""], ids=["slow", "silent"])
def test_slow_clients_have_the_same_time_limit(before, data, status, drip):
    """A byte now and then does not extend the time limit."""
    server = MemoryServer(header_timeout=15.0, keepalive_timeout=60.0)
    protocol, transport = server.connect()
    protocol.dataReceived(before)
    transport.clear()
    protocol.dataReceived(data)
    for _ in range(14):
        server.reactor.advance(1.0)
        protocol.dataReceived(drip)
    assert is_open(transport)
    server.reactor.advance(1.0)
    assert not is_open(transport)
    final = [code for code in statuses(transport) if code >= 200]
    assert final == ([] if status is None else [status])
    server.reactor.pump([1.0] * 3)
    assert transport.disconnecting
    leave(protocol)
    check_that_nothing_is_left(server)


@pytest.mark.parametrize("begin", [b"", WHOLE, CHUNKED])
def test_silent_clients_are_closed_after_their_time_limit(begin):
    server = MemoryServer(header_timeout=15.0, keepalive_timeout=60.0)
    protocol, transport = server.connect()
    protocol.dataReceived(begin)
    transport.clear()
    granted = 60.0 if begin == WHOLE else 15.0
    server.reactor.advance(granted - 0.1)
    assert is_open(transport)
    server.reactor.advance(0.2)
    assert not is_open(transport)
    assert statuses(transport) == ([408] if begin == CHUNKED else [])
    leave(protocol)
    check_that_nothing_is_left(server)


def test_empty_lines_do_not_extend_the_time_limit():
    """RFC 9112 section 2.2 ignores them before a request; they do not keep a connection open."""
    server = MemoryServer(header_timeout=15.0, keepalive_timeout=60.0)
    for begin in (b"", WHOLE):
        protocol, transport = server.connect()
        protocol.dataReceived(begin)
        written = transport.value()
        for _ in range(15):
            protocol.dataReceived(b"\r\n" * 1000)
            server.reactor.advance(1.0)
        assert not is_open(transport)
        assert transport.value() == written
        leave(protocol)
    check_that_nothing_is_left(server)


def test_thousands_of_requests_in_one_write_are_answered_one_by_one():
    exchanges = []
    server = MemoryServer(exchanges.append)
    protocol, transport = server.connect()
    protocol.dataReceived(WHOLE * 5000)
    assert (len(exchanges), transport.producerState) == (1, "paused")
    for number in range(5000):
        assert len(exchanges) == number + 1
        exchanges[number].answer(200, b"%d" % number)
    assert transport.producerState == "producing"
    assert [answer.body for answer in answers(transport.value())] == [b"%d" % number for number in range(5000)]
    leave(protocol)
    check_that_nothing_is_left(server)


def test_thousands_of_immediate_answers_do_not_recurse():
    server = MemoryServer()
    protocol, transport = server.connect()
    protocol.dataReceived(WHOLE * 5000)
    assert len(answers(transport.value())) == 5000
    leave(protocol)
    check_that_nothing_is_left(server)


def test_a_client_that_does_not_read_is_paused_and_closed():
    server = MemoryServer(keepalive_timeout=60.0)
    protocol, transport = server.connect()
    protocol.dataReceived(WHOLE)
    protocol.pauseProducing()
    protocol.dataReceived(WHOLE * 100)
    assert (len(answers(transport.value())), transport.producerState) == (1, "paused")
    server.reactor.pump([1.0] * 59)
    assert is_open(transport)
    server.reactor.advance(1.0)
    assert transport.disconnecting
    leave(protocol)
    check_that_nothing_is_left(server)


def test_a_client_that_resumes_reading_gets_the_remaining_answers():
    server = MemoryServer(keepalive_timeout=60.0)
    protocol, transport = server.connect()
    protocol.pauseProducing()
    protocol.dataReceived(WHOLE * 100)
    assert transport.value() == b""
    server.reactor.pump([1.0] * 30)
    protocol.resumeProducing()
    assert len(answers(transport.value())) == 100
    leave(protocol)
    check_that_nothing_is_left(server)


@pytest.mark.parametrize("data", [b"", b"POST /", POST + b"X: y", POST + b"Content-Length: 500\r\n\r\nhello",
                                  CHUNKED + b"5",
                                  CHUNKED + b"5\r\nhel", CHUNKED + b"5\r\nhello\r\n0\r\nX: y", WHOLE + b"POST"])
@pytest.mark.parametrize("half", [False, True], ids=["gone", "half closed"])
def test_an_incomplete_request_is_not_served(data, half):
    bodies = []
    server = MemoryServer(lambda exchange: (bodies.append(exchange.request.body), exchange.answer(200, b"hello")))
    protocol, transport = server.connect()
    protocol.dataReceived(data)
    if half:
        protocol.readConnectionLost()
        assert transport.disconnecting
    leave(protocol)
    whole = data.startswith(WHOLE)
    assert (bodies, len(answers(transport.value()))) == (([b"hello"], 1) if whole else ([], 0))
    check_that_nothing_is_left(server)


def test_a_client_that_leaves_discards_its_pipeline():
    exchanges = []
    server = MemoryServer(exchanges.append)
    protocol, transport = server.connect()
    protocol.dataReceived(WHOLE * 100 + b"nonsense\r\n\r\n")
    leave(protocol)
    exchanges[0].answer(200, b"late")
    assert (len(exchanges), exchanges[0].gone, transport.value(), server.refusals) == (1, True, b"", [])
    check_that_nothing_is_left(server)


def test_a_flood_of_connections_does_not_affect_the_others():
    server = MemoryServer(connections=10)
    first = [server.connect() for _ in range(10)]
    flood = [server.connect() for _ in range(100)]
    for protocol, transport in flood:
        protocol.dataReceived(WHOLE)
        assert statuses(transport) == [503]
        assert not is_open(transport)
    for protocol, transport in first:
        protocol.dataReceived(WHOLE)
        assert statuses(transport) == [200]
    server.reactor.advance(LINGER_SECONDS)
    assert all(transport.disconnecting for _, transport in flood)
    for protocol, _ in first + flood:
        leave(protocol)
    check_that_nothing_is_left(server)


def test_a_request_leaves_no_state_for_the_next_one_on_its_connection():
    requests = []
    server = MemoryServer(lambda exchange: (
        requests.append(exchange.request), exchange.answer(200, exchange.request.body)))
    protocol, transport = server.connect()
    protocol.dataReceived(POST + b"X: first\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n"
                          b"0\r\nY: trailer\r\n\r\n")
    for _ in range(2 * MAX_HEADERS):  # counted for each request separately
        protocol.dataReceived(b"\r\nPOST /x HTTP/1.1\r\nHost: other\r\nZ: " + b"z" * 10000 + b"\r\n\r\n")
    received = answers(transport.value())
    assert [answer.status for answer in received] == [200] * (1 + 2 * MAX_HEADERS)
    for request in requests[1:]:
        assert [name for name, _ in request.headers] == [b"Host", b"Z"]
        assert (request.host, request.body, request.content_type) == (b"other", b"", None)
    assert not {b"Y", b"X"} & {name for name, _ in requests[-1].headers}
    assert requests[0].headers[-1] == (b"Transfer-Encoding", b"chunked")
    leave(protocol)
    check_that_nothing_is_left(server)
