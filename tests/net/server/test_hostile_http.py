"""Clients that mean harm, at the HTTP server: each gets its answer, costs a bounded amount, and leaves no trace.

RFC 9112 sections 2.2, 7.1, 8 and 9.5; a refusal has the status that its clause asks for.
"""

import tracemalloc

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from tests.httpserver import MemoryServer, answers, is_open
from tests.net.server.http_cases import CHUNKED, HELLO, POST
from wsdgateway.http.requests import MAX_FRAMING_FACTOR, MAX_HEADER_BLOCK, MAX_HEADERS
from wsdgateway.net.server.connection import LINGER_SECONDS, MAX_LINGER_BYTES

READ = 65536  # as much as a transport hands over at once
BODY = 20000
LINE = 2 * MAX_HEADER_BLOCK  # between two pieces of a body
FRAMING = MAX_FRAMING_FACTOR * BODY + LINE
WHOLE = POST + HELLO


def statuses(transport):
    return [answer.status for answer in answers(transport.value())]


def goes_on_as_if_nothing_had_been(server):
    """The next client is answered with its own request, and nothing is kept of those before it."""
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
def test_what_has_no_end_is_ended(begin, again, status, most, size):
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
    goes_on_as_if_nothing_had_been(server)


@pytest.mark.parametrize("chunk", [b"1\r\nx\r\n", b"2\r\nxx\r\n", b"3\r\nxyz\r\n"])
def test_a_body_in_tiny_chunks_takes_its_own_size(chunk):
    """A million pieces of one byte, kept as pieces, would be fifty times their size."""
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
    goes_on_as_if_nothing_had_been(server)


def test_after_a_refusal_no_more_is_kept_and_not_for_long():
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
    goes_on_as_if_nothing_had_been(server)


@pytest.mark.parametrize(("before", "data", "status"), [
    (b"", b"POST /", 408), (b"", POST + b"X: ", 408), (b"", POST + b"Content-Length: 500\r\n\r\nhello", 408),
    (b"", CHUNKED + b"5;", 408), (b"", CHUNKED + b"ffff\r\n", 408),
    (b"", CHUNKED + b"0\r\nX: ", 408), (WHOLE, b"POST /", 408), (WHOLE, POST + b"Content-Length: 500\r\n\r\n", 408),
    (b"", POST + b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 500\r\n\r\n", 408),
    (b"", POST + b"Expect: 100-continue\r\nContent-Length: 500\r\n\r\n", 408)])
@pytest.mark.parametrize("drip", [b"x", b""], ids=["slow", "silent"])
def test_a_slow_client_has_as_long_as_any_other(before, data, status, drip):
    """A byte now and then buys no time."""
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
    goes_on_as_if_nothing_had_been(server)


@pytest.mark.parametrize("begin", [b"", WHOLE, CHUNKED])
def test_who_says_nothing_has_as_long_as_is_granted(begin):
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
    goes_on_as_if_nothing_had_been(server)


def test_empty_lines_are_no_sign_of_life():
    """RFC 9112 section 2.2 has them ignored before a request; they do not hold a connection."""
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
    goes_on_as_if_nothing_had_been(server)


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
    goes_on_as_if_nothing_had_been(server)


def test_thousands_of_requests_that_are_answered_at_once_need_no_stack():
    server = MemoryServer()
    protocol, transport = server.connect()
    protocol.dataReceived(WHOLE * 5000)
    assert len(answers(transport.value())) == 5000
    leave(protocol)
    goes_on_as_if_nothing_had_been(server)


def test_who_does_not_read_is_asked_for_nothing_more_and_let_go():
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
    goes_on_as_if_nothing_had_been(server)


def test_who_begins_to_read_again_gets_the_rest():
    server = MemoryServer(keepalive_timeout=60.0)
    protocol, transport = server.connect()
    protocol.pauseProducing()
    protocol.dataReceived(WHOLE * 100)
    assert transport.value() == b""
    server.reactor.pump([1.0] * 30)
    protocol.resumeProducing()
    assert len(answers(transport.value())) == 100
    leave(protocol)
    goes_on_as_if_nothing_had_been(server)


@pytest.mark.parametrize("data", [b"", b"POST /", POST + b"X: y", POST + b"Content-Length: 500\r\n\r\nhello",
                                  CHUNKED + b"5",
                                  CHUNKED + b"5\r\nhel", CHUNKED + b"5\r\nhello\r\n0\r\nX: y", WHOLE + b"POST"])
@pytest.mark.parametrize("half", [False, True], ids=["gone", "half closed"])
def test_who_leaves_in_the_middle_asked_for_nothing(data, half):
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
    goes_on_as_if_nothing_had_been(server)


def test_who_leaves_before_the_answer_takes_the_rest_of_the_pipeline_along():
    exchanges = []
    server = MemoryServer(exchanges.append)
    protocol, transport = server.connect()
    protocol.dataReceived(WHOLE * 100 + b"nonsense\r\n\r\n")
    leave(protocol)
    exchanges[0].answer(200, b"late")
    assert (len(exchanges), exchanges[0].gone, transport.value(), server.refusals) == (1, True, b"", [])
    goes_on_as_if_nothing_had_been(server)


def test_a_flood_of_connections_leaves_the_others_alone_and_makes_room_again():
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
    goes_on_as_if_nothing_had_been(server)


def test_nothing_of_a_request_is_left_for_the_next_on_its_connection():
    requests = []
    server = MemoryServer(lambda exchange: (
        requests.append(exchange.request), exchange.answer(200, exchange.request.body)))
    protocol, transport = server.connect()
    protocol.dataReceived(POST + b"X: first\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n"
                          b"0\r\nY: trailer\r\n\r\n")
    for _ in range(2 * MAX_HEADERS):  # what is counted for a request is counted for it alone
        protocol.dataReceived(b"\r\nPOST /x HTTP/1.1\r\nHost: other\r\nZ: " + b"z" * 10000 + b"\r\n\r\n")
    received = answers(transport.value())
    assert [answer.status for answer in received] == [200] * (1 + 2 * MAX_HEADERS)
    for request in requests[1:]:
        assert [name for name, _ in request.headers] == [b"Host", b"Z"]
        assert (request.host, request.body, request.content_type) == (b"other", b"", None)
    assert not {b"Y", b"X"} & {name for name, _ in requests[-1].headers}
    assert requests[0].headers[-1] == (b"Transfer-Encoding", b"chunked")
    leave(protocol)
    goes_on_as_if_nothing_had_been(server)
