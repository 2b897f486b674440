"""Captures with hostile clients: they contain complete requests and nothing else.

RFC 9112 sections 2.2 and 9.6.
"""

import tracemalloc

import pytest

from tests.httpserver import MemoryServer, answers
from tests.net.server.http_cases import CHUNKED, HELLO, POST
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.http.requests import MAX_FRAMING_FACTOR, MAX_HEADER_BLOCK

READ = 65536
WHOLE = POST + HELLO


class Captures:
    """Stands in for a folder of captures: `taken` holds the requests, byte by byte as received."""

    def __init__(self):
        self.taken = []

    def begin(self):
        return self

    def request(self, side, data):
        self.taken.append(data)

    def response(self, side, *pieces):
        """Ignores answers, which these tests do not check."""


def serve(respond=lambda exchange: exchange.answer(200, b"")):
    captures = Captures()
    server = MemoryServer(respond, log=ExchangeLog(captures=captures))
    protocol, transport = server.connect()
    return captures, protocol, transport


def peak_memory(protocol, flood, times):
    """Returns the peak of the memory allocated while a flood is received."""
    tracemalloc.start()
    for _ in range(times):
        protocol.dataReceived(flood)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(("begin", "flood"), [
    (b"", b"\r\n" * 5000), (WHOLE, b"\r\n" * 5000), (POST + b"Connection: close\r\n" + HELLO, b"x" * READ),
    (WHOLE + b"nonsense\r\n\r\n", b"x" * READ), (POST + b"Connection: upgrade\r\nUpgrade: x\r\n" + HELLO, WHOLE * 500)])
def test_bytes_that_are_not_a_request_are_not_kept(begin, flood):
    exchanges = []
    captures, protocol, _ = serve(exchanges.append)
    protocol.dataReceived(begin)
    assert peak_memory(protocol, flood, 100) < 2 * READ
    assert len(captures.taken) == len(exchanges) == (1 if begin else 0)


def test_each_request_of_a_pipeline_is_kept_as_it_came():
    captures, protocol, transport = serve()
    chunked = CHUNKED + b"5;a=b\r\nhello\r\n0\r\nT: t\r\n\r\n"
    stream = (WHOLE + chunked + b"\r\n\r\n" + WHOLE) * 50
    for at in range(0, len(stream), 777):
        protocol.dataReceived(stream[at:at + 777])
    assert len(answers(transport.value())) == 150
    assert [raw.lstrip(b"\r\n") for raw in captures.taken] == [WHOLE, chunked, WHOLE] * 50


def test_a_body_in_tiny_pieces_takes_its_own_size():
    captures, protocol, transport = serve()
    protocol.dataReceived(CHUNKED)
    piece = b"1\r\nx\r\n" * 1000
    assert peak_memory(protocol, piece, 500) < 3 * 500 * len(piece)
    protocol.dataReceived(b"0\r\n\r\n")
    assert len(captures.taken[0]) == len(CHUNKED) + 500 * len(piece) + 5
    assert len(captures.taken[0]) < MAX_FRAMING_FACTOR * 1048576 + 2 * MAX_HEADER_BLOCK
    assert [answer.status for answer in answers(transport.value())] == [200]
