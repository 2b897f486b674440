"""Tests of app.strays: what is ended at a scanner that this gateway no longer owns, and when."""

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from tests.storage.stores import held
from wsdgateway.app.storedstate import END_SECONDS
from wsdgateway.app.strays import MAX_LEFT, Strays
from wsdgateway.bridge.events.upstream_core import NO_MANAGER
from wsdgateway.bridge.events.upstreamcommands import LeftBehind
from wsdgateway.storage.coordination import NotNow

MADE = LeftBehind(held("a", expires_at=3600.0))
LISTED = LeftBehind(held("b", expires_at=3600.0), 1)


class Server:
    """The server: it does not list `unlisted`, and does not answer while `is_away`."""

    def __init__(self):
        self.unlisted_ones, self.is_away, self.asked = [MADE.held], False, 0

    def unlisted(self, scanner, left):
        self.asked += 1
        if self.is_away:
            return fail(NotNow("it is away"))
        return succeed([one.held for one in left if one.held in self.unlisted_ones])


class Client:
    stopped = 0

    async def stop(self):
        self.stopped += 1


class Ending:
    is_done = gave_up = False

    def give_up(self):
        self.gave_up = True


class Orphans:
    """The subscriptions that are ended at the scanner, and the duration of each first attempt."""

    def __init__(self):
        self.client, self.waiting, self.ended, self.endings, self.tried = Client(), [], [], [], succeed(None)

    def restore(self, held):
        self.waiting += held

    def end_all(self):
        ending, self.waiting = self.waiting, []
        self.ended += ending
        self.endings += [Ending() for _ in ending]
        return [self.tried for _ in ending]


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def strays(clock, server):
    return Strays(clock, server, clock.seconds)


@pytest.fixture
def scanner(strays):
    """A scanner that was left with one subscription that is not listed, and one that is."""
    return Orphans()


def leave(strays, scanner, left=(MADE, LISTED)):
    strays.leave("front-desk", left, scanner, scanner.endings)


def run(coroutine):
    return Deferred.fromCoroutine(coroutine)


def test_what_is_not_listed_is_ended_at_once_and_once(strays, scanner):
    leave(strays, scanner)
    run(strays.look())
    assert scanner.ended == [MADE.held]


def test_a_scanner_is_forgotten_when_all_has_ended(strays, scanner):
    leave(strays, scanner)
    run(strays.look())
    assert (len(strays), scanner.client.stopped) == (1, 0)
    scanner.endings[0].is_done = True
    run(strays.look())
    assert (len(strays), scanner.client.stopped) == (0, 1)


def test_nothing_is_ended_before_the_server_has_answered(strays, server, scanner):
    server.is_away = True
    leave(strays, scanner)
    run(strays.look())
    assert scanner.ended == []
    server.is_away = False
    run(strays.look())
    assert scanner.ended == [MADE.held]


def test_what_has_expired_is_forgotten(strays, server, clock, scanner):
    server.is_away = True
    leave(strays, scanner)
    clock.advance(3600.0)
    run(strays.look())
    assert (len(strays), scanner.ended, server.asked) == (0, [], 1)


def test_what_cannot_be_ended_is_not_asked_about(strays, server, scanner):
    leave(strays, scanner, [LeftBehind(held("a", manager=NO_MANAGER))])
    assert (len(strays), server.asked) == (0, 0)


def test_a_stop_asks_once_more(strays, server, scanner):
    server.is_away = True
    leave(strays, scanner)
    server.is_away = False
    stopped = run(strays.stop())
    assert (scanner.ended, stopped.called, len(strays)) == ([MADE.held], True, 0)
    assert scanner.endings[0].gave_up and scanner.client.stopped == 1


def test_a_stop_without_the_server_ends_what_it_was_never_known_to_list(strays, server, scanner):
    server.is_away, server.unlisted_ones = True, [MADE.held, LISTED.held]
    leave(strays, scanner)
    run(strays.stop())
    assert scanner.ended == [MADE.held]


@pytest.mark.parametrize("is_away", [False, True])
def test_a_stop_waits_for_a_silent_scanner_for_a_limited_time(strays, server, clock, scanner, is_away):
    server.is_away = is_away  # if not, the first attempt is under way when the stop begins
    scanner.tried = Deferred()
    leave(strays, scanner)
    stopped = run(strays.stop())
    clock.advance(END_SECONDS - 0.1)
    assert not stopped.called and scanner.client.stopped == 0
    clock.advance(0.2)
    assert stopped.called and scanner.endings[0].gave_up and scanner.client.stopped == 1


def test_a_stop_without_the_server_asks_it_once(strays, server):
    server.is_away = True
    scanners = [Orphans() for _ in range(10)]
    for scanner in scanners:
        leave(strays, scanner)
    server.asked = 0
    run(strays.stop())
    assert server.asked == 1
    assert [scanner.ended for scanner in scanners] == [[MADE.held]] * 10


def test_only_so_many_are_kept(strays, server, scanner):
    server.is_away = True
    for _ in range(MAX_LEFT + 1):
        leave(strays, scanner)
    assert len(strays) == MAX_LEFT
