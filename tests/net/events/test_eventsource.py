"""Tests of net.events.eventsource, the event source that clients subscribe to, without sockets."""

from twisted.internet.defer import Deferred, ensureDeferred

from tests.bridge.events.tables import holding
from tests.bridge.events.test_subscriptions import subscription
from tests.messages import manage
from tests.options import scanner_options
from wsdgateway.bridge.frontends.frontend import EventingRequest
from wsdgateway.net.events.eventsource import EventSource
from wsdgateway.scan.operations import RENEW
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSE


class Subscribers:
    def __init__(self, table):
        self.change = table.put


class SlowStore:
    def __init__(self):
        self.saved, self.writing = [], Deferred()

    def save(self, subscription):
        self.saved.append(subscription)
        return self.writing


def test_a_reload_during_a_renewal_does_not_change_the_granted_expiry():
    table, store = holding(subscription("a", expires_at=50.0)), SlowStore()
    source = EventSource(
        "front-desk", table, Subscribers(table), None, store, None, scanner_options(client_expires=600.0),
        wall=lambda: 1.8e9, now=lambda: 10.0, new_id=lambda: "urn:uuid:m", secret=bytes, unavailable=lambda: None)
    request = EventingRequest(read(manage("Renew", expires="PT2H")), RENEW, "192.0.2.7", "a")
    answered = []
    ensureDeferred(source.answer(request, "http://192.0.2.1:5357", lambda: False)).addCallback(answered.append)
    source.adjust(scanner_options(client_expires=60.0))
    assert [one.expires_at for one in store.saved] == [610.0] and answered == []
    store.writing.callback(None)
    [(answer, _)] = answered
    assert read(answer.body).body.findtext(f"{{{WSE}}}Expires") == "PT600S"
    assert table.find("a", 609.9).expires_at == 610.0
