"""Tests of net.transport.writebatching: pieces that are written together."""

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from wsdgateway.net.transport.writebatching import CoalescedWriter, WriteScheduler


def test_an_outbox_on_another_transport_writes_at_once():
    transport = StringTransport()
    outbox = CoalescedWriter(transport, WriteScheduler(Clock()))
    outbox.write(b"a")
    outbox.write(b"b")
    assert transport.value() == b"ab"


def test_writers_are_flushed_when_a_batch_of_events_ends():
    clock = Clock()
    scheduler = WriteScheduler(clock)
    flushed = []

    class Writer:
        def flush(self):
            flushed.append(self)

    first, second, third = Writer(), Writer(), Writer()
    scheduler.hold()
    scheduler.expect(first)
    scheduler.expect(second)
    assert (flushed, clock.getDelayedCalls()) == ([], [])
    scheduler.release()
    assert flushed == [first, second]
    scheduler.expect(third)
    clock.advance(0)
    assert flushed == [first, second, third]


@pytest.mark.logs_failure
def test_an_exception_in_one_writer_keeps_no_other_from_being_flushed():
    flushed = []

    class Broken:
        def flush(self):
            raise RuntimeError("broken")

    class Writer:
        def flush(self):
            flushed.append(self)

    scheduler = WriteScheduler(Clock())
    scheduler.hold()
    scheduler.expect(Broken())
    scheduler.expect(Writer())
    scheduler.release()
    assert len(flushed) == 1
