"""Tests of net.presence.settling."""

from twisted.internet.defer import CancelledError

from wsdgateway.net.presence.settling import Settling


def test_all_who_wait_are_told_when_it_is_settled():
    known = []
    settling = Settling(lambda: bool(known))
    first, second = settling.wait(), settling.wait()
    settling.look()
    assert not first.called
    known.append("http://192.0.2.1/scan")
    settling.look()
    assert first.called and second.called and settling.wait().called


def test_a_wait_ends_when_it_is_cancelled_or_the_scanner_stops():
    settling = Settling(lambda: False)
    cancelled, waiting = settling.wait(), settling.wait()
    cancelled.addErrback(lambda failure: failure.trap(CancelledError) and None)
    cancelled.cancel()
    settling.give_up()
    assert cancelled.called and waiting.called
