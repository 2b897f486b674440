"""Tests of exchangelog.log: the last exchanges, kept in memory."""

from tests.exchangelog.entries import ENTRY
from wsdgateway.exchangelog.log import KEPT, MAX_MESSAGE, MAX_MESSAGES, ExchangeLog


def test_the_last_exchanges_are_kept_and_no_more():
    log = ExchangeLog()
    for _ in range(KEPT + 10):
        log.add(ENTRY, b"request", b"response")
    assert len(log.since(0)) == KEPT and log.since(log.last) == [] and log.last == KEPT + 10
    assert [one.number for one in log.since(log.last - 2)] == [log.last - 1, log.last]
    assert log.get(5) is None and log.get(log.last).request == b"request"


def test_large_messages_are_cut_and_their_total_size_is_limited():
    log = ExchangeLog()
    for _ in range(500):
        log.add(ENTRY, b"r" * MAX_MESSAGE * 2, b"a" * MAX_MESSAGE * 2)
    held = [log.get(number) for number in range(1, 501)]
    assert 0 < sum(len(one.request) + len(one.response) for one in held) <= MAX_MESSAGES
    assert len(held[-1].request) == MAX_MESSAGE and held[0].request == b""
