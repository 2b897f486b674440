"""Tests of bridge.destinations.presses: what an event says, and the order of presses."""

import pytest
from lxml import etree

from wsdgateway.bridge.destinations.presses import (
    MAX_REMEMBERED,
    MAX_WAITING,
    REPEAT_SECONDS,
    Accepted,
    Pressed,
    Presses,
    destination_of,
    read_press,
)
from wsdgateway.bridge.destinations.registering import Entry
from wsdgateway.scan.operations import WSCN_2006_01
from wsdgateway.soap.namespaces import WSCN

A, B = Entry("A", "ctx-a"), Entry("B", "ctx-b")


def event(content, uri=WSCN, name="ScanAvailableEvent"):
    return etree.fromstring(f'<w:{name} xmlns:w="{uri}">{content}</w:{name}>')


@pytest.mark.parametrize(("body", "press"), [
    (event("<w:ClientContext> c </w:ClientContext><w:ScanIdentifier>7</w:ScanIdentifier>"), Pressed("c", "7")),
    (event("<w:ClientContext>c</w:ClientContext><w:ScanIdentifier>7</w:ScanIdentifier><w:InputSource>ADF"
           "</w:InputSource>"), Pressed("c", "7", "ADF")),
    (event("<w:ClientContext>c</w:ClientContext>", WSCN_2006_01), Pressed("c", None)),
    (event(f"<w:ScanIdentifier>{'x' * 2000}</w:ScanIdentifier>"), Pressed(None, None)),
    (event("", name="JobStatusEvent"), None), (None, None),
])
def test_reading_an_event(body, press):
    assert read_press(body) == press


@pytest.mark.parametrize(("context", "entries", "found"), [
    ("ctx-b", (A, B), B), ("other", (A, B), None), (None, (A, B), None), (None, (B,), B), ("other", (B,), B)])
def test_the_destination(context, entries, found):
    assert destination_of(Pressed(context, "1"), entries) is found


def test_presses_are_taken_in_their_order_and_once():
    presses = Presses()
    first, second = Pressed("ctx-a", "1"), Pressed("ctx-b", "2")
    assert [presses.add(A, first, 5.0), presses.add(B, second, 5.0), presses.add(A, first, 5.0)] == [
        Accepted.TAKEN, Accepted.TAKEN, Accepted.REPEATED]
    assert [presses.take().press, presses.take().press, presses.take()] == [first, second, None]
    assert presses.add(B, second, 5.0) is Accepted.REPEATED
    presses.rebooted()
    assert presses.add(B, second, 5.0) is Accepted.TAKEN


def test_an_identifier_that_is_given_again_later_is_another_press():
    presses = Presses()
    again = Pressed("ctx-a", "1")
    assert presses.add(A, again, 5.0) is Accepted.TAKEN
    assert presses.add(A, again, 4.9 + REPEAT_SECONDS) is Accepted.REPEATED
    assert presses.add(A, again, 5.0 + REPEAT_SECONDS) is Accepted.TAKEN
    assert presses.add(A, again, 64.9 + REPEAT_SECONDS) is Accepted.REPEATED


def test_the_number_of_waiting_presses_is_bounded():
    presses = Presses()
    for number in range(MAX_WAITING):
        assert presses.add(A, Pressed("ctx-a", str(number)), 5.0) is Accepted.TAKEN
    refused = Pressed("ctx-a", "last")
    assert presses.add(A, refused, 5.0) is Accepted.TOO_MANY
    presses.take()
    assert presses.add(A, refused, 5.0) is Accepted.TAKEN
    assert len(presses) == MAX_WAITING


def test_a_scanner_without_identifiers_can_be_pressed_again():
    presses = Presses()
    assert presses.add(A, Pressed("ctx-a", None), 5.0) is presses.add(A, Pressed("ctx-a", None), 5.0) is Accepted.TAKEN


def test_the_identifiers_that_are_remembered_are_bounded():
    presses = Presses()
    for number in range(MAX_REMEMBERED + 1):
        presses.add(A, Pressed("ctx-a", str(number)), 5.0)
        presses.take()
    assert presses.add(A, Pressed("ctx-a", "1"), 5.0) is Accepted.REPEATED
    assert presses.add(A, Pressed("ctx-a", "0"), 5.0) is Accepted.TAKEN
