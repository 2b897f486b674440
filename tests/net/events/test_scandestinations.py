"""Tests of net.events.scandestinations without sockets: clients' names on the scanner's panel."""

import pytest
from twisted.internet.defer import Deferred

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscriptions import SCAN_AVAILABLE_ACTION, Subscription
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.config.sections import ScannerConfig
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.net.events.scandestinations import ScanDestinations
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.transport.errors import DeviceError, Unavailable
from wsdgateway.scan.destinations import Destinations
from wsdgateway.soap.addressing import EndpointReference


def subscription(identifier):
    return Subscription(identifier, "front-desk", "192.0.2.7", f"http://gw/{identifier}",
                        Sink(EndpointReference("http://192.0.2.7/e"), "192.0.2.7"), None,
                        ActionFilter((SCAN_AVAILABLE_ACTION,)), 1e12, True, Destinations("", (("ctx", "Name"),)))


@pytest.fixture
def bridge(subscriber):
    return ScannerBridge(ScannerOptions(ScannerConfig("front-desk")), new_id=subscriber.new_id)


@pytest.fixture
def panel(subscriber, bridge):
    made = ScanDestinations(subscriber.clock, bridge, subscriber.store, bytes, lambda: None)
    made.client = subscriber.client
    yield made
    made.hand_off()
    for one in made.ending:
        one.give_up()


def register(panel, identifier="c1"):
    return Deferred.fromCoroutine(panel.register(subscription(identifier)))


def error_of(registering):
    failures = []
    registering.addErrback(failures.append)
    return failures[0].value


def test_registering_fails_before_the_address_is_known_and_after_a_stop(subscriber, panel):
    panel.client = None
    assert "not known" in str(error_of(register(panel)))
    panel.client = subscriber.client
    panel.hand_off()
    assert "stopping" in str(error_of(register(panel)))


def test_the_life_of_a_registration(subscriber, scanner, panel):
    scanner.gate = gate = Deferred()
    registering = register(panel)
    assert (panel.beginning, panel.held, panel.state("c1")) == (1, [], None)
    scanner.gate = None
    gate.callback(None)
    assert registering.result.subscription.identifier == "c1"
    assert (panel.beginning, len(panel), panel.state("c1")) == (0, 1, "subscribed")
    assert panel.held_for("c1") == registering.result.held
    assert panel.drop("c1").called
    subscriber.pass_time(1.0)
    assert (len(panel), panel.held, panel.ending, panel.state("c1"), scanner.held) == (0, [], [], None, {})
    assert panel.drop("c1") is None


def test_a_refusal_of_the_scanner_is_returned_and_leaves_nothing(scanner, panel):
    scanner.refuses = {"Subscribe"}
    registering = register(panel)
    assert isinstance(registering.result, Reply)
    assert (panel.beginning, panel.held) == (0, [])


def test_a_success_without_a_grant_is_a_device_error(scanner, panel):
    scanner.answers["Subscribe"] = (202, b"", b"")
    error = error_of(register(panel))
    assert isinstance(error, DeviceError) and error.sent


def test_one_subscribe_goes_out_at_a_time(subscriber, scanner, panel):
    scanner.gate = gate = Deferred()
    first, second = register(panel, "c1"), register(panel, "c2")
    assert scanner.operations() == ["Subscribe"]
    scanner.gate = None
    gate.callback(None)
    subscriber.pass_time(1.0)
    assert first.called and second.called
    assert scanner.operations() == ["Subscribe"] * 2


def test_a_lost_registration_is_off_the_panel_until_it_is_renewed(subscriber, scanner, panel, bridge):
    register(panel)
    scanner.held.clear()
    scanner.fails["Subscribe"] = Unavailable("192.0.2.20", "it is away")
    [held] = panel.held
    held.ended()
    subscriber.pass_time(1.0)
    assert (bridge.off_panel, len(panel)) == ({"c1"}, 0)
    scanner.fails.clear()
    subscriber.pass_time(60.0)
    assert (bridge.off_panel, len(panel)) == (set(), 1)


def test_another_subscription_of_the_client_takes_over_its_registration(panel, bridge):
    register(panel)
    [held] = panel.held
    panel.hand_over("c1", "c2")
    assert (panel.state("c1"), panel.held_for("c1"), held.identifier) == (None, None, "c2")
    assert panel.held_for("c2").identifier == "c2"
    assert not bridge.off_panel


def test_a_failed_unsubscribe_is_repeated_when_the_scanner_is_back(subscriber, scanner, panel):
    register(panel)
    scanner.fails["Unsubscribe"] = Unavailable("192.0.2.20", "it is away")
    panel.drop("c1")
    [ending] = panel.ending
    assert ending.waits
    scanner.fails.clear()
    panel.recovered(was_away=False)
    subscriber.pass_time(1.0)
    assert (panel.ending, scanner.held) == ([], {})
    assert subscriber.store.held().result == []


def test_handed_off_registrations_stay_at_the_scanner(scanner, panel):
    registering = register(panel)
    assert panel.hand_off() == [registering.result.held]
    assert len(scanner.held) == 1


def test_a_grant_after_the_hand_off_is_ended_before_what_waits(subscriber, scanner, panel):
    register(panel, "c1")
    scanner.gate = unsubscribing = Deferred()
    panel.drop("c1")
    scanner.gate = subscribing = Deferred()
    panel.restore(subscription("c2"), None)
    assert scanner.operations() == ["Subscribe", "Unsubscribe", "Subscribe"]
    assert panel.hand_off() == []
    scanner.gate = None
    subscribing.callback(None)  # the Unsubscribe has no answer yet
    assert scanner.operations() == ["Subscribe", "Unsubscribe", "Subscribe", "Unsubscribe"]
    unsubscribing.callback(None)
    assert scanner.held == {}
