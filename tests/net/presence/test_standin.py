"""Tests of net.presence.standin on a Clock: the requests of a stand-in to its scanner."""

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.messages import envelope
from tests.options import scanner_options
from wsdgateway.bridge.decisions import Answer, Refuse
from wsdgateway.bridge.discovery.backoff import LONGEST_AWAY
from wsdgateway.net.presence.description import Description
from wsdgateway.net.presence.metadatacache import LONGEST_PAUSE
from wsdgateway.net.presence.standin import StandIn
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WXF

GET = read(envelope(f"{WXF}/Get"))


class StandInSetup:
    """A stand-in; `asked` holds its requests to the scanner, which the test answers."""

    def __init__(self, **options):
        self.clock, self.asked, self.is_here = Clock(), [], True
        self.stand_in = StandIn(
            self.clock, scanner_options(**options), describe=self.describe,
            version_of=lambda endpoint, digest: succeed(1), hosts=frozenset, is_here=lambda: self.is_here,
            new_id=lambda: "urn:uuid:m", on_change=lambda: None)

    async def describe(self):
        self.asked.append(Deferred())
        return await self.asked[-1]

    def answer(self, number, name):
        self.asked[number].callback(Description(None, name, ""))

    def fail(self, number, *, sent):
        error = Unavailable("scanner", "it does not answer")
        error.sent = sent
        self.asked[number].errback(Failure(error))

    def get(self):
        """Sends a client's Get and returns a list that will contain the result."""
        received = []
        Deferred.fromCoroutine(self.stand_in.answer_get(GET, "http://gw")).addCallback(
            lambda answered: received.append(answered[0]))
        return received


@pytest.fixture
def set_up():
    made = []

    def make(**options):
        made.append(StandInSetup(**options))
        return made[-1]

    yield make
    for one in made:
        one.stand_in.stop()
        assert one.clock.getDelayedCalls() == []


def test_the_scanner_is_asked_once_for_all_clients_until_its_metadata_is_in_doubt(set_up):
    setup = set_up()
    first, second = setup.get(), setup.get()
    setup.answer(0, "Hall")
    for message in (first, second, setup.get()):
        assert isinstance(message[0], Answer) and b">Hall<" in message[0].body
    assert len(setup.asked) == 1
    setup.stand_in.metadata.doubt()
    again = setup.get()
    assert again == []
    setup.answer(1, "Lobby")
    assert b">Lobby<" in again[0].body and b">Lobby<" in setup.get()[0].body
    setup.stand_in.metadata.doubt()
    refused = setup.get()
    setup.fail(2, sent=False)
    assert isinstance(refused[0], Refuse)
    assert setup.get() == []  # the scanner is asked for each Get until it answers
    setup.answer(3, "Hall")
    assert len(setup.asked) == 4


def test_a_move_replaces_the_pending_request_to_the_former_address(set_up):
    setup = set_up()
    answered = setup.get()
    setup.stand_in.metadata.moved()
    assert len(setup.asked) == 2
    setup.fail(0, sent=False)
    assert answered == []
    setup.answer(1, "Hall")
    assert b">Hall<" in answered[0].body
    assert len(setup.asked) == 2
    setup.stand_in.metadata.moved()
    assert len(setup.asked) == 3
    setup.stand_in.metadata.moved()
    setup.answer(3, "Lobby")
    setup.answer(2, "Hall")  # too late
    assert b">Lobby<" in setup.get()[0].body


@pytest.mark.parametrize(("sent", "longest"), [(False, LONGEST_AWAY), (True, LONGEST_PAUSE)])
def test_an_announced_scanner_that_fails_is_asked_again_soon(set_up, sent, longest):
    setup = set_up(announced=True)
    setup.is_here = False
    setup.stand_in.metadata.refresh()
    for _ in range(10):
        before = len(setup.asked)
        setup.fail(-1, sent=sent)
        setup.clock.advance(longest)
        assert len(setup.asked) == before + 1
    setup.fail(-1, sent=sent)
    setup.clock.advance(longest / 2)
    assert len(setup.asked) == before + 1
    setup.stand_in.metadata.refresh_now()
    assert len(setup.asked) == before + 2
    setup.answer(-1, "Hall")


def test_changed_options_take_effect_at_once(set_up):
    setup = set_up()
    setup.stand_in.metadata.refresh()
    assert setup.asked == []  # it cannot be found by discovery
    setup.stand_in.adjust(scanner_options(announced=True, suffix=" (2nd floor)"))
    setup.stand_in.metadata.refresh()
    setup.answer(0, "Hall")
    assert b">Hall (2nd floor)<" in setup.get()[0].body
    setup.stand_in.adjust(scanner_options(suffix=" (gateway)"))
    assert b">Hall (gateway)<" in setup.get()[0].body
    assert len(setup.asked) == 1
