"""Tests of bridge.cluster.ownership: each test reads as what the server says and what the gateway does."""

import pytest

from wsdgateway.bridge.cluster.attempts import BEGIN_AGAIN
from wsdgateway.bridge.cluster.candidates import GIVE_UP_REACHING, STEP
from wsdgateway.bridge.cluster.commands import Acquire, Begin, Check, End, Regained, Release, Try, Why
from wsdgateway.bridge.cluster.lease import Lease
from wsdgateway.bridge.cluster.outage import RETURN_SECONDS, WORTHWHILE
from wsdgateway.bridge.cluster.ownership import ALONE_AFTER, ALONE_STEP, Ownership
from wsdgateway.bridge.cluster.values import CLAIM, NO_TOKEN, Acquired, Owner, Refused, Registration, View

LEASE = 4.0
ME, OTHER = (Registration(name, f"print-{name}", "", "1", {"desk": "1"}) for name in ("me", "other"))


class Gateway:
    """The gateway `me` with its boot clock."""

    def __init__(self, alone=True):
        self.now = 1000.0
        self.lease = Lease(lambda: self.now)
        self.machine = Ownership("desk", "me", self.lease, seconds=LEASE, alone=alone)

    @property
    def state(self):
        return self.machine.state.value

    def later(self, seconds):
        self.now += seconds
        return self

    def answered(self, owner=None, renewed=(), grace=0.0, gateways=(ME,), wishes=(), sent=None, trusted_from=0.0):
        owners = {} if owner is None else {"desk": owner}
        view = View(1e9, 1, grace, tuple(gateways), owners, frozenset(renewed), dict(wishes))
        return self.machine.answered(view, self.now if sent is None else sent, self.now, trusted_from)

    def renewed(self, **more):
        token = self.lease.token
        return self.answered(Owner(token, "me", LEASE), {"desk"}, **more)

    def unanswered(self, sent=None):
        return self.machine.unanswered(self.now if sent is None else sent)

    def asked(self, *serving, place=0, sent=None, **more):
        return self.machine.asked(serving, place, self.now if sent is None else sent, self.now, **more)

    def deserted(self):
        """Claim the scanner, because nothing can be reached."""
        self.unanswered()
        self.later(ALONE_AFTER).unanswered()
        assert self.asked() == []
        assert self.state == "claiming"
        return self.later(1.0)

    def unleased(self):
        assert self.deserted().asked() == [Begin(alone=True)]
        assert self.state == "unleased"
        return self.later(1.0)

    def acquired(self, token, sent=None):
        return self.machine.acquired(Acquired(token, 1e9), self.now if sent is None else sent, self.now)

    def refused(self, owner=None, grace=0.0):
        return self.machine.refused(Refused(owner, grace, 1e9), self.now)

    def owning(self, token=1):
        self.answered()
        self.acquired(token)
        assert self.state == "owning"
        return self.later(1.0)


@pytest.fixture
def gateway():
    return Gateway()


@pytest.fixture
def owner(gateway):
    """The gateway as the owner by token 1, a second after that."""
    return gateway.owning()


def test_a_scanner_that_nobody_owns_is_taken(gateway):
    assert gateway.answered() == [Acquire(0, False)]
    assert gateway.state == "taking"
    assert gateway.acquired(1) == [Begin()]
    assert (gateway.state, gateway.lease.token, gateway.lease.holds()) == ("owning", 1, True)


def test_the_lease_counts_from_the_sending(gateway):
    gateway.answered()
    gateway.later(0.5).acquired(1, sent=1000.0)
    assert gateway.lease.valid_until == 1003.0
    gateway.later(0.4).renewed(sent=1000.6)
    assert gateway.lease.valid_until == 1003.6


def test_an_answer_that_comes_after_its_lease_gives_the_scanner_back(gateway):
    gateway.answered()
    assert gateway.later(3.0).acquired(1, sent=1000.0) == [Release(1), Check()]
    assert gateway.state == "following"


def test_each_gateway_waits_for_its_place(gateway):
    gateway.answered(Owner(4, "other", LEASE))
    commands = gateway.answered(gateways=(ME, OTHER))
    assert commands == [Try(1000.0 + STEP)]
    assert gateway.later(STEP - 0.01).machine.due(gateway.now) == []
    assert gateway.later(0.02).machine.due(gateway.now) == [Acquire(4, False)]


def test_later_ticks_do_not_postpone_the_attempt(gateway):
    gateway.answered(Owner(4, "other", LEASE))
    gateway.answered(gateways=(ME, OTHER))
    assert gateway.later(0.2).answered(gateways=(ME, OTHER)) == [Try(1000.0 + STEP)]
    assert gateway.later(0.2).answered(gateways=(ME, OTHER)) == [Acquire(4, False)]


def test_an_attempt_is_forgotten_when_another_owns_the_scanner_or_the_server_is_away(gateway):
    gateway.answered(Owner(4, "other", LEASE))
    for happen in (lambda: gateway.answered(Owner(5, "other", LEASE)), gateway.unanswered):
        gateway.answered(gateways=(ME, OTHER))
        happen()
        assert gateway.later(STEP).machine.due(gateway.now) == []


def test_nobody_takes_a_scanner_while_the_clock_of_the_server_is_not_trusted(gateway):
    assert gateway.answered(trusted_from=1004.0) == [Try(1004.0)]
    assert gateway.later(4.0).machine.due(gateway.now) == [Acquire(0, False)]


def test_a_scanner_that_was_acquired_when_the_clock_of_the_server_jumped_is_given_back(gateway):
    gateway.answered()
    assert gateway.machine.acquired(Acquired(1, 1e9), 1000.0, 1000.0, trusted_from=1004.0) == [Release(1), Check()]
    assert not gateway.lease.holds()


def test_an_owner_whose_lease_runs_asks_again_though_the_clock_of_the_server_jumped(owner):
    assert owner.answered(trusted_from=1005.0) == [Acquire(1, True)]
    assert owner.machine.acquired(Acquired(2, 1e9), owner.now, owner.now, trusted_from=1005.0) == [Regained()]


def test_in_the_grace_a_follower_waits_until_it_is_over(gateway):
    assert gateway.answered(grace=5.0) == [Try(1005.0)]
    assert gateway.later(1.0).answered(grace=4.0) == [Try(1005.0)]
    assert gateway.later(4.0).machine.due(gateway.now) == [Acquire(0, False)]
    assert gateway.refused(grace=0.1) == []
    assert gateway.answered(grace=0.1) == [Try(1005.1)]


def test_a_refused_gateway_follows(gateway):
    gateway.answered()
    assert gateway.refused(Owner(3, "other", 2.0)) == []
    assert gateway.state == "following"
    gateway.answered()
    assert gateway.machine.not_acquired(gateway.now) == []
    assert gateway.state == "following"


def test_an_owner_that_another_process_replaced_stops_at_once(owner):
    assert owner.answered(Owner(2, "other", LEASE)) == [End(Why.LOST)]
    assert (owner.state, owner.lease.holds()) == ("ending", False)
    assert owner.answered() == []
    assert owner.machine.ended() == [Check()]
    assert owner.state == "following"


def test_an_ownership_that_only_the_server_knows_of_is_not_adopted(gateway):
    assert gateway.answered(Owner(9, "me", LEASE)) == [Release(9), Check()]
    assert not gateway.lease.holds()


def test_an_owner_whose_lease_was_forgotten_asks_again_and_goes_on(owner):
    assert owner.answered(grace=5.0) == [Acquire(1, True)]
    assert owner.answered(grace=5.0) == []  # the first is not answered yet
    assert owner.acquired(2) == [Regained()]
    assert (owner.state, owner.lease.token, owner.lease.holds()) == ("owning", 2, True)


def test_an_owner_that_gets_a_later_token_than_the_next_begins_anew(owner):
    owner.answered()
    assert owner.acquired(3) == [Release(3), End(Why.LOST)]
    assert (owner.state, owner.lease.holds()) == ("ending", False)


@pytest.mark.parametrize(("refusal", "state"), [
    ({"grace": 5.0}, "owning"),
    ({"owner": Owner(2, "me", LEASE)}, "owning"),
    ({"owner": Owner(2, "other", LEASE)}, "ending"),
])
def test_an_owner_whose_claim_is_refused(owner, refusal, state):
    owner.answered()
    owner.refused(**refusal)
    assert owner.state == state


def test_a_claim_whose_answer_was_lost_is_given_back_and_repeated(owner):
    owner.answered(grace=5.0)
    owner.machine.not_acquired(owner.now)
    assert owner.answered(Owner(2, "me", LEASE), grace=4.9) == [Release(2), Check()]
    assert owner.answered(grace=4.8) == [Acquire(1, True)]


def test_a_tick_that_was_sent_before_the_acquire_does_not_count(gateway):
    gateway.answered()
    gateway.later(0.5).acquired(1, sent=1000.1)
    assert gateway.answered(Owner(7, "other", LEASE), sent=1000.2) == []
    assert gateway.unanswered(sent=1000.2) == []
    assert gateway.state == "owning"


def test_without_the_server_an_owner_goes_on_alone(owner):
    for _ in range(5):
        sent = owner.now
        assert owner.later(1.0).unanswered(sent) == []
        assert owner.lease.holds()
    assert owner.state == "alone"
    assert owner.renewed() == []
    assert (owner.state, owner.lease.is_valid) == ("owning", True)


def test_an_owner_that_may_not_be_alone_stops_serving_when_its_lease_has_run_out():
    owner = Gateway(alone=False).owning()
    owner.later(1.0).unanswered(1001.0)
    assert owner.lease.holds()
    owner.later(1.0).unanswered(1002.0)
    assert (owner.state, owner.lease.holds()) == ("owning", False)
    assert owner.answered(grace=5.0) == [End(Why.LOST)]


def test_a_process_that_was_stopped_serves_again_when_its_lease_was_renewed_in_time(owner):
    owner.later(2.5)
    assert not owner.lease.holds()
    assert owner.renewed() == []
    assert (owner.state, owner.lease.holds()) == ("owning", True)


def test_a_process_that_was_stopped_longer_has_lost_the_scanner(owner):
    sent = owner.now
    assert owner.later(60.0).unanswered(sent) == []
    assert not owner.lease.holds()
    assert owner.answered() == [End(Why.LOST)]
    assert owner.machine.ended() == [Check()]
    assert owner.answered() == [Acquire(1, False)]


def alone(owner):
    for _ in range(5):
        sent = owner.now
        owner.later(1.0).unanswered(sent)
    assert owner.state == "alone"
    return owner


def test_an_owner_that_was_alone_asks_at_once_when_the_server_is_back(owner):
    assert alone(owner).answered() == [Acquire(1, False)]
    assert owner.acquired(2) == [Regained()]
    assert owner.state == "owning"


def test_an_owner_that_was_alone_goes_on_through_the_grace(owner):
    alone(owner)
    for left in (4.0, 3.0, 2.0, 1.0):
        assert owner.answered(grace=left) == []
        assert owner.later(1.0).lease.holds()
    assert owner.answered() == [Acquire(1, False)]


@pytest.mark.parametrize(("token", "identifier", "survives"), [(2, "zero", False), (0, "zero", True),
                                                               (1, "zero", False), (1, "a", True)])
def test_of_two_that_are_alone_the_older_ownership_ends(owner, token, identifier, survives):
    rival = Registration(identifier, "rival", "", "1", {"desk": "1"}, alone={"desk": token})
    alone(owner)
    assert owner.answered(grace=4.0, gateways=(ME, rival)) == ([] if survives else [End(Why.LOST)])


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_peer_with_a_newer_token_demotes_and_with_an_older_one_does_nothing(owner, is_alone):
    if is_alone:
        alone(owner)
    assert owner.machine.newer(1) == []
    assert owner.machine.newer(2) == [End(Why.LOST)]
    assert not owner.lease.holds()


def test_a_peer_promotes_nobody(gateway):
    assert gateway.machine.newer(9) == []
    assert gateway.state == "following"


def test_a_refused_write_only_makes_the_owner_look(owner):
    assert owner.machine.fenced() == [Check()]
    assert (owner.state, owner.lease.holds()) == ("owning", True)


def test_a_wish_hands_the_scanner_over(owner):
    wishes = {"desk": "print-other"}
    assert owner.renewed(gateways=(ME, OTHER), wishes=wishes) == [End(Why.HANDED_OVER)]
    assert (owner.state, owner.lease.holds()) == ("leaving", True)
    assert owner.later(1.0).renewed(gateways=(ME, OTHER), wishes=wishes) == []
    assert owner.machine.ended() == [Release(1, "print-other"), Check()]
    assert (owner.state, owner.lease.holds()) == ("following", False)
    assert owner.answered(gateways=(ME, OTHER), wishes=wishes) == [Try(owner.now + 2.0)]


@pytest.mark.parametrize("wish", ["print-me", "print-unknown"])
def test_a_wish_for_itself_or_a_gateway_that_does_not_run_changes_nothing(owner, wish):
    assert owner.renewed(gateways=(ME, OTHER), wishes={"desk": wish}) == []
    assert owner.state == "owning"


def test_a_scanner_that_cannot_be_reached_is_handed_over(owner):
    owner.machine.reach.failed(owner.now)
    assert owner.renewed(gateways=(ME, OTHER)) == []
    assert owner.later(GIVE_UP_REACHING).renewed(gateways=(ME,)) == []
    assert owner.renewed(gateways=(ME, OTHER)) == [End(Why.HANDED_OVER)]


def test_an_ownership_that_is_lost_while_it_is_handed_over(owner):
    owner.machine.stop(Why.HANDED_OVER)
    assert owner.answered(Owner(2, "other", LEASE)) == []
    assert (owner.state, owner.lease.holds()) == ("ending", False)
    assert owner.machine.ended() == [Check()]
    assert owner.state == "stopped"


def test_stop_releases_the_scanner_when_what_runs_has_ended(owner):
    assert owner.machine.stop(Why.STOPPED) == [End(Why.STOPPED)]
    assert owner.machine.ended() == [Release(1), Check()]
    assert (owner.state, owner.lease.holds()) == ("stopped", False)
    assert owner.answered() == []


def test_stop_while_the_scanner_is_being_taken_gives_it_back(gateway):
    gateway.answered()
    assert gateway.machine.stop(Why.HANDED_OVER) == []
    assert gateway.acquired(1) == [Release(1), Check()]
    assert gateway.state == "stopped"


def test_stop_while_the_scanner_is_followed(gateway):
    assert gateway.machine.stop(Why.HANDED_OVER) == []
    assert gateway.state == "stopped"
    assert gateway.answered() == []


def test_a_scanner_that_cannot_be_served_is_given_back_and_tried_again_later(gateway):
    gateway.answered()
    gateway.acquired(1)
    assert gateway.machine.begin_failed(gateway.now) == [Release(1), Check()]
    assert (gateway.state, gateway.lease.holds()) == ("following", False)
    assert gateway.answered() == [Try(gateway.now + BEGIN_AGAIN)]


def test_tokens_that_were_seen_are_told_to_a_server_that_may_have_lost_them(gateway):
    gateway.answered(Owner(17, "other", LEASE))
    gateway.machine.newer(18)
    assert gateway.later(9.0).answered() == [Acquire(18, False)]


# Without the server and without the owner.


def test_a_gateway_that_may_not_be_alone_asks_the_others_and_claims_nothing():
    gateway = Gateway(alone=False)
    gateway.unanswered()
    assert gateway.machine.asks_others(gateway.now)
    assert (gateway.later(2 * ALONE_AFTER).asked(), gateway.state) == ([], "following")
    owner = Gateway(alone=False).owning()
    owner.unanswered()
    assert not owner.machine.asks_others(owner.now)
    assert owner.later(LEASE).machine.asks_others(owner.now)
    assert (owner.asked((NO_TOKEN, "other")), owner.state) == ([], "owning")


def test_a_follower_without_the_server_asks_the_others_before_it_claims_the_scanner(gateway):
    assert gateway.unanswered() == []
    assert not gateway.machine.asks_others(gateway.now)
    assert gateway.later(ALONE_AFTER - 0.1).asked() == []
    assert gateway.state == "following"
    gateway.later(0.2)
    assert gateway.machine.asks_others(gateway.now)
    assert gateway.asked((3, "other")) == []  # it serves the scanner, so requests are passed to it
    assert (gateway.state, gateway.asked(), gateway.state) == ("following", [], "claiming")
    assert not gateway.lease.holds()


def test_a_claim_is_made_in_turn(gateway):
    gateway.unanswered()
    gateway.later(ALONE_AFTER).asked(place=1)
    assert gateway.state == "following"
    gateway.later(ALONE_STEP).asked(place=1)
    assert gateway.state == "claiming"


def test_an_unrivalled_claim_is_served_at_the_next_question(gateway):
    gateway.deserted()
    assert gateway.machine.alone_token == CLAIM
    assert gateway.asked((CLAIM, "another")) == [Begin(alone=True)]  # me comes later in the alphabet
    assert gateway.machine.alone_token == NO_TOKEN
    assert gateway.lease.is_alone


@pytest.mark.parametrize("rival", [(CLAIM, "other"), (NO_TOKEN, "another"), (7, "another")])
def test_a_claim_beside_a_better_one_is_given_up(gateway, rival):
    assert gateway.deserted().asked(rival) == []
    assert gateway.state == "following"


def test_the_answer_to_a_question_before_the_claim_confirms_nothing(gateway):
    before = gateway.now + ALONE_AFTER - 0.1
    gateway.deserted()
    assert gateway.asked(sent=before) == []
    assert gateway.state == "claiming"


def test_a_claim_ends_when_the_server_answers(gateway):
    assert gateway.deserted().answered() == [Acquire(0, False)]
    assert Gateway().deserted().answered(Owner(4, "other", LEASE)) == []
    assert gateway.state == "taking"


def test_without_a_lease_each_question_lets_the_gateway_serve_a_little_longer(gateway):
    gateway.unleased()
    gateway.unanswered()
    assert gateway.asked() == []
    assert gateway.later(2.4).lease.holds()
    gateway.later(0.2)
    assert not gateway.lease.holds()
    assert gateway.asked(sent=gateway.now - 2.0) == []  # the process was stopped since
    assert not gateway.lease.holds()
    assert gateway.asked() == []
    assert gateway.lease.holds()


@pytest.mark.parametrize("rival", [(NO_TOKEN, "other"), (1, "another")])
def test_of_two_that_serve_alone_one_gives_up(gateway, rival):
    assert gateway.unleased().asked(rival) == [End(Why.LOST)]
    assert not gateway.lease.holds()
    assert gateway.machine.ended() == [Check()]
    assert gateway.state == "following"


def test_an_owner_that_is_alone_gives_up_beside_a_newer_ownership(owner):
    alone(owner)
    assert owner.asked((NO_TOKEN, "other"), (CLAIM, "other"), (1, "another")) == []
    assert owner.asked((2, "another")) == [End(Why.LOST)]


def test_without_a_lease_a_scanner_is_taken_like_any_other_when_the_server_is_back(gateway):
    assert gateway.unleased().answered() == [End(Why.LOST)]
    gateway.machine.ended()
    assert gateway.answered() == [Acquire(0, False)]
    assert gateway.acquired(1) == [Begin()]


def test_after_an_outage_a_former_owner_that_may_have_been_alone_comes_first(gateway):
    gateway.answered(Owner(4, "other", LEASE))
    gateway.later(1.0).unanswered()
    gateway.later(LEASE + 1.0)
    assert gateway.answered() == [Try(gateway.now + RETURN_SECONDS)]
    assert gateway.later(RETURN_SECONDS).answered() == [Acquire(4, False)]


def test_without_a_lease_a_scanner_with_an_owner_is_left_at_once(gateway):
    assert gateway.unleased().answered(Owner(4, "other", LEASE)) == [End(Why.LOST)]


def test_without_a_lease_a_gateway_goes_on_through_the_grace_unless_an_owner_does_so(gateway):
    gateway.unleased()
    assert gateway.answered(grace=4.0) == []
    assert gateway.later(2.0).lease.holds()
    rival = Registration("other", "rival", "", "1", {"desk": "1"}, alone={"desk": 5})
    assert gateway.answered(grace=2.0, gateways=(ME, rival)) == [End(Why.LOST)]


def in_the_grace(gateway, outage=7.0, grace=15.0, waited=RETURN_SECONDS):
    """The server was away, and has lost who owns the scanner."""
    gateway.answered(Owner(4, "other", LEASE))
    gateway.unanswered()
    gateway.later(outage).answered(grace=grace)
    return gateway.later(waited)


def test_in_the_grace_after_an_outage_a_scanner_is_claimed_and_served_without_a_lease(gateway):
    in_the_grace(gateway)
    assert gateway.machine.asks_others(gateway.now)
    assert (gateway.asked(), gateway.state) == ([], "claiming")
    assert gateway.later(1.0).answered(grace=12.0) == []
    assert not gateway.lease.holds()
    assert gateway.asked() == [Begin(alone=True)]
    for left in range(11, 0, -1):
        assert gateway.later(1.0).lease.holds()
        assert gateway.answered(grace=float(left)) == []
    assert gateway.later(1.0).answered() == [End(Why.LOST)]


@pytest.mark.parametrize(("outage", "grace", "waited", "all_heard"), [
    (7.0, 15.0, RETURN_SECONDS, False),  # that one may own the scanner, and say so in its next tick
    (6.9, 15.0, RETURN_SECONDS, True),  # the scanner has had no owner for too short a time
    (20.0, 15.0, RETURN_SECONDS - 0.1, True),  # a former owner that is alone may not have noticed the server yet
    (7.0, WORTHWHILE + RETURN_SECONDS - 0.1, RETURN_SECONDS, True),
])
def test_in_the_grace_a_scanner_is_not_claimed(gateway, outage, grace, waited, all_heard):
    in_the_grace(gateway, outage, grace, waited).asked(all_heard=all_heard)
    assert gateway.state == "following"


def test_in_the_grace_nothing_is_claimed_beside_one_that_serves(gateway):
    in_the_grace(gateway).asked((4, "other"))
    assert gateway.state == "following"
    gateway.asked()
    rival = Registration("other", "rival", "", "1", {"desk": "1"}, alone={"desk": 4})
    gateway.later(1.0).answered(grace=12.0, gateways=(ME, rival))
    assert gateway.state == "following"


def test_after_the_grace_a_claim_is_forgotten(gateway):
    in_the_grace(gateway).asked()
    assert gateway.state == "claiming"
    assert gateway.later(15.0).answered() == [Acquire(4, False)]


def test_an_owner_in_the_grace_ends_the_wait_for_one(gateway):
    in_the_grace(gateway).answered(Owner(5, "other", LEASE), grace=13.0)
    gateway.answered(grace=13.0)
    assert not gateway.machine.asks_others(gateway.now)
    gateway.asked()
    assert gateway.state == "following"


def test_without_a_lease_any_owner_demotes(gateway):
    gateway.unleased()
    assert gateway.machine.newer(1) == [End(Why.LOST)]


def test_without_a_lease_a_scanner_that_cannot_be_served_is_tried_again(gateway):
    gateway.unleased()
    assert gateway.machine.begin_failed(gateway.now) == []
    assert (gateway.state, gateway.lease.holds()) == ("following", False)
    assert (gateway.asked(), gateway.state) == ([], "following")
    gateway.later(BEGIN_AGAIN).asked()
    assert gateway.state == "claiming"


def test_a_gateway_without_a_lease_stops(gateway):
    assert gateway.unleased().machine.stop(Why.STOPPED) == [End(Why.LOST)]
    assert gateway.machine.ended() == [Check()]
    assert gateway.state == "stopped"
    claiming = Gateway().deserted()
    assert claiming.machine.stop(Why.STOPPED) == []
    assert claiming.state == "stopped"
