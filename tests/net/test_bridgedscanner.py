"""Tests of net.bridgedscanner: its options."""

from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from tests.options import scanner_options
from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.access.quotas import no_quotas
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.metrics import Metrics
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.context import Context
from wsdgateway.net.events.delivery import Deliveries
from wsdgateway.net.events.sinkpolicy import SinkPolicy
from wsdgateway.net.transport.timeslices import TimeSlices
from wsdgateway.storage.memory import MemoryStore


def bridged(clock, options):
    slices = TimeSlices(clock, clock.seconds)
    return BridgedScanner(options, Context(
        reactor=clock, seconds=clock.seconds, wall=clock.seconds, new_id=lambda: "urn:uuid:m", metrics=Metrics(),
        log=ExchangeLog(), store=MemoryStore(1000), permission=Permission(), quotas=no_quotas(),
        policy=SinkPolicy(None, (), list), deliveries=Deliveries(clock, 1, slices), directed=None,
        on_presence=lambda name: None, search=lambda uuid: None, events_base=None, on_finished=lambda *_: None,
        on_given_again=lambda *_: succeed(None), slices=slices, random=lambda: 0.5,
        secret=lambda size: b"5" * size))


def test_changed_options_reach_the_monitor_and_the_stand_in():
    scanner = bridged(Clock(), scanner_options(scan="http://192.0.2.20/scan"))
    other = scanner_options(scan="http://192.0.2.20/scan", suffix=" (gateway)", timeout=5.0)
    scanner.adjust(other)
    assert scanner.options is other
    assert scanner.monitor.options is other
    assert scanner.stand_in.options is other
