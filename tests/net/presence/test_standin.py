"""What a stand-in asks its scanner, and when, on a Clock."""

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


class World:
    """A stand-in, and the questions to its scanner in `asked`, each to be answered by hand."""

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
        """A client's Get: a list that holds what came of it once it has."""
        told = []
        Deferred.fromCoroutine(self.stand_in.answer_get(GET, "http://gw")).addCallback(
            lambda answered: told.append(answered[0]))
        return told


@pytest.fixture
def world():
    made = []

    def make(**options):
        made.append(World(**options))
        return made[-1]

    yield make
    for one in made:
        one.stand_in.stop()
        assert one.clock.getDelayedCalls() == []


def test_the_scanner_is_asked_once_for_all_until_there_is_doubt(world):
    here = world()
    first, second = here.get(), here.get()
    here.answer(0, "Hall")
    for told in (first, second, here.get()):
        assert isinstance(told[0], Answer) and b">Hall<" in told[0].body
    assert len(here.asked) == 1
    here.stand_in.metadata.doubt()
    again = here.get()
    assert again == []
    here.answer(1, "Lobby")
    assert b">Lobby<" in again[0].body and b">Lobby<" in here.get()[0].body
    here.stand_in.metadata.doubt()
    refused = here.get()
    here.fail(2, sent=False)
    assert isinstance(refused[0], Refuse)
    assert here.get() == []  # it is asked each time, until it answers
    here.answer(3, "Hall")
    assert len(here.asked) == 4


def test_nobody_waits_for_an_address_where_the_scanner_is_no_more(world):
    here = world()
    told = here.get()
    here.stand_in.metadata.moved()
    assert len(here.asked) == 2
    here.fail(0, sent=False)
    assert told == []
    here.answer(1, "Hall")
    assert b">Hall<" in told[0].body
    assert len(here.asked) == 2
    here.stand_in.metadata.moved()
    assert len(here.asked) == 3
    here.stand_in.metadata.moved()
    here.answer(3, "Lobby")
    here.answer(2, "Hall")  # too late
    assert b">Lobby<" in here.get()[0].body


@pytest.mark.parametrize(("sent", "longest"), [(False, LONGEST_AWAY), (True, LONGEST_PAUSE)])
def test_what_is_announced_is_asked_again_soon_if_it_is_not_there(world, sent, longest):
    here = world(announced=True)
    here.is_here = False
    here.stand_in.metadata.refresh()
    for _ in range(10):
        before = len(here.asked)
        here.fail(-1, sent=sent)
        here.clock.advance(longest)
        assert len(here.asked) == before + 1
    here.fail(-1, sent=sent)
    here.clock.advance(longest / 2)
    assert len(here.asked) == before + 1
    here.stand_in.metadata.refresh_now()
    assert len(here.asked) == before + 2
    here.answer(-1, "Hall")


def test_other_options_hold_from_then_on(world):
    here = world()
    here.stand_in.metadata.refresh()
    assert here.asked == []  # nobody finds it by discovery
    here.stand_in.adjust(scanner_options(announced=True, suffix=" (2nd floor)"))
    here.stand_in.metadata.refresh()
    here.answer(0, "Hall")
    assert b">Hall (2nd floor)<" in here.get()[0].body
    here.stand_in.adjust(scanner_options(suffix=" (gateway)"))
    assert b">Hall (gateway)<" in here.get()[0].body
    assert len(here.asked) == 1
