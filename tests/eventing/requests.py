"""Reads Subscribe requests for tests."""

from datetime import UTC, datetime

from wsdgateway.eventing.source import read_subscribe
from wsdgateway.scan.operations import EVENT_SPELLINGS
from wsdgateway.soap.envelope import read

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
SINK = "http://192.0.2.7:5357/events"


def asked(message):
    return read_subscribe(read(message), NOW, EVENT_SPELLINGS)
