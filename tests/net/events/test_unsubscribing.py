"""Tests of net.events.unsubscribing: Unsubscribe is repeated until the scanner answers or the subscription expires."""

from itertools import pairwise

import attrs
import pytest

from tests.net.events.eventsource import EPOCH, EXPIRES, SCAN_URL
from wsdgateway.bridge.events.upstream_core import NO_MANAGER
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.eventing.messages import Granted
from wsdgateway.net.events.unsubscribing import FIRST_RETRY, LONGEST_RETRY, Unsubscribing
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.soap.addressing import EndpointReference

AWAY = Unavailable("192.0.2.20", "it is away")


@pytest.fixture
def unsubscribing(subscriber):
    made = Unsubscribing(subscriber.client, "")
    yield made
    made.give_up()


def test_the_store_forgets_a_subscription_that_the_scanner_has_ended(subscriber, scanner, held, unsubscribing):
    unsubscribing.end_held(held)
    assert scanner.operations() == ["Subscribe", "Unsubscribe"]
    assert (scanner.held, subscriber.store.held().result, unsubscribing.is_done) == ({}, [], True)


def test_unsubscribe_is_repeated_until_the_scanner_answers(subscriber, scanner, held, unsubscribing):
    scanner.fails["Unsubscribe"] = AWAY
    unsubscribing.end_held(held)
    subscriber.pass_time(1000.0)
    times = scanner.times("Unsubscribe")
    assert times[:5] == [0.0, *(FIRST_RETRY * factor for factor in (1, 3, 7, 15))]
    assert max(later - earlier for earlier, later in pairwise(times)) == LONGEST_RETRY
    assert unsubscribing.waits and subscriber.store.held().result
    del scanner.fails["Unsubscribe"]
    unsubscribing.hurry()
    subscriber.pass_time(1.0)
    assert unsubscribing.is_done
    assert subscriber.store.held().result == []


@pytest.mark.parametrize(("answer", "again"), [
    ((503, b"text/plain", b"busy"), True), ((404, b"text/plain", b""), False), ((202, b"", b""), False)])
def test_only_a_temporary_refusal_is_retried(
        subscriber, scanner, held, unsubscribing, answer, again):
    scanner.answers["Unsubscribe"] = answer
    unsubscribing.end_held(held)
    assert unsubscribing.waits is again
    assert bool(subscriber.store.held().result) is again


def test_an_expired_subscription_is_not_retried(subscriber, scanner, held, unsubscribing):
    scanner.fails["Unsubscribe"] = AWAY
    unsubscribing.end_held(held)
    subscriber.pass_time(EXPIRES + LONGEST_RETRY)
    assert unsubscribing.is_done


def test_after_giving_up_the_store_still_lists_it(subscriber, scanner, held, unsubscribing):
    scanner.fails["Unsubscribe"] = AWAY
    unsubscribing.end_held(held)
    unsubscribing.give_up()
    subscriber.pass_time(EXPIRES)
    assert scanner.operations().count("Unsubscribe") == 1
    assert subscriber.store.held().result == [held]


def test_a_subscription_without_a_manager_is_forgotten(subscriber, scanner, held, unsubscribing):
    unsubscribing.end_held(attrs.evolve(held, manager=NO_MANAGER))
    assert scanner.operations() == ["Subscribe"]
    assert subscriber.store.held().result == []


@pytest.mark.parametrize(("granted", "expires_at"), [(60.0, 60.0), (None, EXPIRES)])
def test_a_late_grant_is_stored_until_it_is_ended(subscriber, scanner, unsubscribing, granted, expires_at):
    scanner.fails["Unsubscribe"] = AWAY
    manager = EndpointReference(scanner.manager)
    unsubscribing.end_late_grant(Granted(manager, granted), "http://g/secret")
    assert subscriber.store.held().result == [
        Held("front-desk", "", SCAN_URL, "http://g/secret", manager, EPOCH + expires_at)]


def test_a_late_grant_is_left_behind_if_another_gateway_owns_the_scanner(subscriber, scanner):
    left, manager = [], EndpointReference(scanner.manager)
    client = attrs.evolve(subscriber.client, owns=lambda: False, leave_behind=left.append)
    Unsubscribing(client, "").end_late_grant(Granted(manager, 60.0), "http://g/secret")
    assert left == [Held("front-desk", "", SCAN_URL, "http://g/secret", manager, EPOCH + 60.0)]
    assert (scanner.operations(), subscriber.store.held().result) == ([], [])
