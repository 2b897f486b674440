"""Tests of net.transport.writebatching: pieces that are written together."""

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from wsdgateway.net.transport.writebatching import CoalescedWriter, WriteScheduler


def test_an_outbox_on_another_transport_writes_at_once():
    transport = StringTransport()
    outbox = CoalescedWriter(transport, WriteScheduler(Clock()))
    outbox.write(b"a")
    outbox.write(b"b")
    assert transport.value() == b"ab"
