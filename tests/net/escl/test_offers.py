"""Tests of net.escl.offer and .offerkeeper on a Clock: waiting for a silent scanner, and what is kept over restarts."""

from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.scan.elements import element
from wsdgateway.bridge.frontends.escl.keptoffer import MAX_ELEMENTS, KeptOffer
from wsdgateway.bridge.scanjobs.scanjob import Refusal
from wsdgateway.metadata.messages import Labels
from wsdgateway.net.escl.offer import ASK_SECONDS, FRESH_SECONDS, OfferReader
from wsdgateway.net.escl.offerkeeper import OfferKeeper
from wsdgateway.scan.scannerelements import MAX_NAME
from wsdgateway.simulator.description import scanner_elements
from wsdgateway.simulator.settings import Settings
from wsdgateway.storage.memory import MemoryStore

LABELS = Labels("Desk", "Maker", "1000", "1.2")


def answer(name="Desk", padding=""):
    """The body of an answer of a virtual scanner with that name."""
    found = scanner_elements(Settings(name=name), status="")
    data = "".join(f'<wscn:ElementData Name="wscn:{key}" Valid="true">{found[key]}</wscn:ElementData>'
                   for key in ("ScannerDescription", "ScannerConfiguration", "DefaultScanTicket"))
    return element(f"<wscn:GetScannerElementsResponse><wscn:ScannerElements>{data}{padding}</wscn:ScannerElements>"
                   "</wscn:GetScannerElementsResponse>")


class Scanner:
    """A scanner whose answers are given by the test, its reader and what is kept of it."""

    def __init__(self, kept=(), place="http://192.0.2.9/scan", store=None):
        self.clock, self.asked, self.waiting = Clock(), 0, []
        self.located, self.away, self.decided = True, False, False
        self.endpoint, self.labels = "urn:uuid:1", LABELS
        self.store = store or MemoryStore(10)
        self.kept = {one.scanner: one for one in kept}
        self.offers = OfferReader(self.clock, self, lambda: self.located, lambda: self.away)
        self.changes = []
        self.keeper = OfferKeeper("a", place, self.kept, self.store, self.offers, lambda: self.endpoint,
                                  lambda: self.labels, lambda: self.decided)
        self.keeper.restore()
        self.offers.on_change = lambda: (self.keeper.look(), self.changes.append(self.offers.last))

    async def elements(self, names, client):
        self.asked += 1
        self.waiting.append(Deferred())
        return await self.waiting[-1]

    def answers(self, body):
        self.waiting.pop(0).callback(SimpleNamespace(body=body) if not isinstance(body, Refusal) else body)

    def read(self):
        found = []
        Deferred.fromCoroutine(self.offers.read("192.0.2.7")).addCallback(found.append)
        return found

    @property
    def stored(self):
        found = []
        self.store.escl_offers().addCallback(found.extend)
        return found


@pytest.fixture
def scanner():
    return Scanner()


def kept_by(scanner):
    scanner.read()
    scanner.answers(answer())
    return scanner.stored


def test_an_unknown_offer_is_waited_for(scanner):
    found = scanner.read()
    scanner.clock.advance(ASK_SECONDS - 1)
    assert found == []
    scanner.answers(answer())
    assert found == [scanner.offers.last] and found[0].name == "Desk"


def test_a_silent_scanner_gives_what_is_known_and_is_read_on(scanner):
    kept_by(scanner)
    before = scanner.offers.last
    found, other = scanner.read(), scanner.read()
    assert scanner.asked == 2  # they share the question
    scanner.clock.advance(FRESH_SECONDS)
    assert found == other == [before]
    scanner.answers(answer("Hall"))
    assert scanner.offers.last.name == "Hall" and scanner.changes[-1] is scanner.offers.last
    assert scanner.read() == []


def test_a_scanner_that_answers_at_once_gives_what_it_offers_now(scanner):
    kept_by(scanner)
    found = scanner.read()
    scanner.answers(answer("Hall"))
    assert [one.name for one in found] == ["Hall"]


def test_a_scanner_that_is_known_to_be_away_is_not_waited_for(scanner):
    kept_by(scanner)
    scanner.away = True
    assert scanner.read() == [scanner.offers.last]
    assert scanner.asked == 2
    scanner.located = False
    assert scanner.read() == [scanner.offers.last]


def test_an_offer_is_kept_for_the_next_start(scanner):
    [kept] = kept_by(scanner)
    assert (kept.scanner, kept.place, kept.endpoint, kept.labels) == (
        "a", "http://192.0.2.9/scan", "urn:uuid:1", LABELS)
    again = Scanner([kept])
    again.endpoint, again.labels = None, Labels()
    assert again.offers.last == scanner.offers.last and again.keeper.is_expected
    assert (again.keeper.endpoint, again.keeper.labels) == ("urn:uuid:1", LABELS)
    again.decided = True
    again.keeper.look()
    assert not again.keeper.is_expected and again.offers.last is not None


def test_the_same_offer_is_not_written_again(scanner):
    [kept] = kept_by(scanner)
    again = Scanner([kept])
    again.read()
    again.answers(answer())
    assert again.stored == []


def test_an_offer_is_forgotten_with_another_address_in_the_configuration(scanner):
    [kept] = kept_by(scanner)
    again = Scanner([kept], "http://192.0.2.10/scan", scanner.store)
    assert (again.offers.last, again.keeper.is_expected, again.stored, again.kept) == (None, False, [], {})


@pytest.mark.parametrize(("endpoint", "labels"), [
    ("urn:uuid:2", LABELS), ("urn:uuid:1", Labels("Desk", "Maker", "2000", "1.2")),
    ("urn:uuid:1", Labels("Desk", "Maker", "1000", "1.3"))])
def test_an_offer_is_forgotten_with_another_scanner_or_firmware(scanner, endpoint, labels):
    [kept] = kept_by(scanner)
    again = Scanner([kept], store=scanner.store)
    again.endpoint, again.labels = endpoint, labels
    again.keeper.look()
    assert (again.offers.last, again.keeper.is_expected, again.stored) == (None, False, [])
    assert again.changes == [None]
    again.read()
    again.answers(answer("New"))
    assert [one.labels for one in again.stored] == [labels]


@pytest.mark.parametrize("elements", ["", "<a/>", "<", "<!DOCTYPE a><a/>"])
def test_an_unreadable_offer_is_forgotten(elements):
    again = Scanner([KeptOffer("a", "http://192.0.2.9/scan", "urn:uuid:1", LABELS, elements)])
    assert (again.offers.last, again.kept) == (None, {})


def test_a_large_offer_is_used_and_not_kept(scanner):
    scanner.read()
    scanner.answers(answer(padding=f"<wscn:X>{'x' * MAX_ELEMENTS}</wscn:X>"))
    assert scanner.offers.last is not None and scanner.stored == []


def test_a_scanner_that_cannot_be_read(scanner):
    found = scanner.read()
    scanner.answers(Refusal("", unreachable=True))
    assert (found, scanner.asked, scanner.stored) == ([None], 1, [])


def test_a_name_without_end_is_cut(scanner):
    scanner.read()
    scanner.answers(answer(name="N" * 300))
    assert scanner.offers.last.name == "N" * MAX_NAME
