"""Tests of bridge.events.subscriptions: the clients' subscriptions to one scanner, and their DestinationTokens."""

import attrs
import pytest

from tests.bridge.events.tables import DESTINATIONS, holding
from tests.messages import SCAN
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscriptions import Subscription, Subscriptions, Token, paired
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.scan.destinations import Destinations
from wsdgateway.soap.addressing import EndpointReference

STATUS, END, AVAILABLE = (f"{SCAN}/{name}" for name in ("JobStatusEvent", "JobEndStateEvent", "ScanAvailableEvent"))


def subscription(identifier, *wanted, expires_at=100.0, **more):
    return Subscription(identifier, "front-desk", "192.0.2.7", f"http://gw/{identifier}",
                        Sink(EndpointReference(f"http://192.0.2.7/{identifier}"), "192.0.2.7"), None,
                        ActionFilter(wanted or None), expires_at, **more)


def test_subscriptions_are_found_by_event_until_they_expire():
    table = holding(subscription("a"), subscription("b", STATUS), subscription("c", SCAN, expires_at=50.0))
    assert [one.identifier for one in table.listening(STATUS, 10.0)] == ["a", "b", "c"]
    assert [one.identifier for one in table.listening(END, 10.0)] == ["a", "c"]
    assert [one.identifier for one in table.listening(END, 50.0)] == ["a"]
    assert table.listening(AVAILABLE, 10.0) == []  # goes only to the client whose name was chosen
    assert table.next_expiry() == 50.0
    assert [one.identifier for one in table.expired(50.0)] == ["c"]
    assert table.find("c", 49.9) is not None
    assert table.find("c", 50.0) is None
    assert table.get("c") is not None
    assert table.remove("c").identifier == "c"
    assert table.remove("c") is None
    assert table.find(None, 0.0) is None
    assert Subscriptions(1).next_expiry() is None


def test_the_table_is_full_at_its_limit():
    table = holding(subscription("a"), subscription("b"), limit=2)
    assert table.full
    table.remove("a")
    assert not table.full




def named(identifier, given_, current=None, **more):
    return subscription(identifier, AVAILABLE, panel=True, destinations=DESTINATIONS,
                        tokens=(Token("ctx", given_, current or given_),), **more)


def test_a_clients_token_is_mapped_to_the_scanners_token():
    table = holding(named("a", "t1", "t9"), named("b", "t2"))
    assert table.token("t1")[1].current == "t9"
    assert table.token("t2")[0].identifier == "b"
    assert table.token("t9") is None
    table.remove("a")
    assert table.token("t1") is None


def test_tokens_of_clients_are_unique():
    table = holding(named("a", "t1", "t9"))
    assert table.tokens_for([("c1", "t1"), ("c2", "t2")], iter(["new"])) == (
        Token("c1", "new", "t1"), Token("c2", "t2", "t2"))


@pytest.mark.parametrize(("fresh", "currents"), [
    ([("a", "3"), ("b", "4"), ("a", "5")], ["3", "5", "4"]), ([("b", "4")], ["0", "1", "4"]), ([], ["0", "1", "2"]),
    ([("c", "9")], ["0", "1", "2"])])
def test_tokens_are_paired_by_context_in_order(fresh, currents):
    tokens = (Token("a", "0", "0"), Token("a", "1", "1"), Token("b", "2", "2"))
    assert [token.current for token in paired(tokens, fresh)] == currents


def test_a_subscription_is_repeated_only_with_the_same_client_names_and_sink():
    table = holding(named("a", "t1"))
    same = attrs.evolve(named("b", "t2"), notify_to=table.get("a").notify_to)
    assert table.repeated(same).identifier == "a"
    for other in ({"client": "192.0.2.8"}, {"destinations": Destinations("<e/>", ())},
                  {"notify_to": Sink(EndpointReference("http://192.0.2.7/other"), "192.0.2.7")}, {"panel": False}):
        assert table.repeated(attrs.evolve(same, **other)) is None
    assert holding(subscription("a")).repeated(subscription("a")) is None
