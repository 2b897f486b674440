"""Tests of bridge.cache.answercache: lifetimes of cached answers, their invalidation, and waiting for shared requests.
"""

import itertools

import pytest

from tests.bridge.bridges import FAILED, SOAP_TYPE
from tests.bridge.cache.caching import ACTIVE, BOTH, DESCRIPTION, HISTORY, STATUS, CachingBridge, plain
from tests.messages import (
    announcement,
    create_scan_job,
    created_job,
    end_event,
    fault,
    get_job_elements,
    get_scanner_elements,
    job_request,
    listing,
    scanner_elements,
    status_event,
    status_response,
)
from tests.options import scanner_options
from wsdgateway.bridge.cache.answercache import MAX_KEPT, MAX_STATUS_ASKS
from wsdgateway.bridge.decisions import MAX_ASKS, Answer, Forward, Join, Pass, Refuse, Reply
from wsdgateway.soap.envelope import read

STATUS_EVENTS = ("ScannerStatusSummaryEvent", "ScannerStatusConditionEvent", "ScannerStatusConditionClearedEvent")


# The answers.

def test_each_client_gets_the_scanners_answer_with_its_own_ids(bridge):
    body = scanner_elements(*DESCRIPTION, note="<wscn:ScannerName>Büro</wscn:ScannerName>")
    forward = bridge.ask(get_scanner_elements(*DESCRIPTION))
    bridge.learn(forward, body, content_type=b"application/soap+xml; charset=UTF-8")
    answers = [bridge.ask(get_scanner_elements(*DESCRIPTION, message_id=f"urn:uuid:{n}")) for n in range(3)]
    assert [read(answer.body).relates_to for answer in answers] == [f"urn:uuid:{n}" for n in range(3)]
    assert len({read(answer.body).message_id for answer in answers}) == 3
    own = read(answers[0].body).message_id.encode()
    assert answers[0].body == body.replace(b"urn:uuid:1<", b"urn:uuid:0<").replace(b"urn:uuid:device-1", own)
    assert answers[0].content_type == b"application/soap+xml; charset=UTF-8"


def test_no_relates_to_is_invented_for_a_request_without_a_message_id(bridge):
    bridge.cache_elements()
    assert b"<wsa:RelatesTo></wsa:RelatesTo>" in bridge.ask(get_scanner_elements(*DESCRIPTION, message_id=None)).body


def test_a_failure_is_shared_and_not_cached(bridge):
    raw = get_scanner_elements(*DESCRIPTION)
    forward, waiting = bridge.ask(raw), bridge.ask(raw)
    assert isinstance(bridge.scanner.fail(forward, FAILED, bridge.now), Refuse)
    assert bridge.scanner.joined(bridge.question(raw), waiting.forward, FAILED, bridge.now).fault is FAILED.fault
    assert isinstance(bridge.ask(raw), Forward)


def test_the_number_of_cached_answers_is_limited(bridge):
    names = ("ScannerDescription", "ScannerConfiguration", "DefaultScanTicket", "ScannerStatus")
    questions = [some for size in range(1, 5) for some in itertools.combinations(names, size)]
    assert len(questions) == MAX_KEPT - 1
    bridge.cache_elements(questions[0])
    bridge.cache_elements(questions[1])
    assert bridge.is_cached(get_scanner_elements(*questions[0]))  # used again, so that the other one is the oldest
    for question in questions[2:]:
        bridge.cache_elements(question)
    bridge.cache_list(ACTIVE)
    bridge.cache_list(HISTORY)
    assert bridge.is_cached(get_scanner_elements(*questions[0]))
    assert not bridge.is_cached(get_scanner_elements(*questions[1]))


# Lifetimes.

@pytest.mark.parametrize(("names", "seconds"), [(DESCRIPTION, 300.0), (STATUS, 1.0), (BOTH, 1.0)])
def test_the_lifetime_of_an_answer_begins_with_its_request(bridge, names, seconds):
    forward = bridge.ask(get_scanner_elements(*names))
    bridge.now += 0.5
    bridge.learn(forward, scanner_elements(*names))
    bridge.now += seconds - 0.6
    assert bridge.is_cached(get_scanner_elements(*names))
    bridge.now += 0.2
    assert not bridge.is_cached(get_scanner_elements(*names))


def test_a_status_is_cached_longer_if_the_scanner_announces_changes(bridge):
    bridge.tell(announcement(STATUS_EVENTS[0]))
    bridge.cache_elements(STATUS)
    bridge.now += 29.0
    assert bridge.is_cached(get_scanner_elements(*STATUS))
    bridge.now += 1.0
    assert not bridge.is_cached(get_scanner_elements(*STATUS))
    bridge.scanner.listens(False)
    bridge.cache_elements(STATUS)
    bridge.now += 1.0
    assert not bridge.is_cached(get_scanner_elements(*STATUS))


def test_after_a_reboot_the_short_lifetime_applies_until_the_next_announcement(bridge):
    bridge.tell(announcement(STATUS_EVENTS[0]))
    bridge.scanner.rebooted()
    bridge.cache_elements(STATUS)
    bridge.now += 2.0
    assert not bridge.is_cached(get_scanner_elements(*STATUS))


@pytest.mark.parametrize(("raw", "body"), [
    (get_scanner_elements(*DESCRIPTION), scanner_elements(*DESCRIPTION)),
    (get_scanner_elements(*BOTH), scanner_elements(*BOTH)), (plain("GetActiveJobs"), listing(*ACTIVE)),
    (plain("GetJobHistory"), listing(*HISTORY))])
def test_after_an_outage_no_cached_answer_is_used(bridge, raw, body):
    under_way = bridge.ask(raw)
    bridge.scanner.was_away()
    again = bridge.ask(raw)
    assert isinstance(again, Forward)  # and the earlier request is not joined
    assert isinstance(bridge.learn(under_way, body), Pass)
    assert isinstance(bridge.ask(raw), Join)
    assert isinstance(bridge.learn(again, body), Pass)
    assert isinstance(bridge.ask(raw), Answer)
    bridge.scanner.was_away()
    assert isinstance(bridge.ask(raw, send=False), Forward)


def moved(bridge):
    """Replaces the bridge by that of another section with the same name and another address."""
    heir = CachingBridge()
    for names in (DESCRIPTION, BOTH):
        heir.cache_elements(names)
    heir.scanner.take_over(bridge.scanner, "http://elsewhere/scan")
    bridge.scanner = heir.scanner


ELEMENTS_CHANGED = announcement("ScannerElementsChangeEvent")


@pytest.mark.parametrize("happens", [
    lambda bridge: bridge.tell(ELEMENTS_CHANGED), lambda bridge: bridge.scanner.rebooted(), moved,
    lambda bridge: (bridge.scanner.listens(False), bridge.scanner.listens(True))])
@pytest.mark.parametrize("names", [DESCRIPTION, BOTH])
def test_answers_that_may_have_changed_are_requested_again(bridge, happens, names):
    bridge.cache_elements(names)
    assert bridge.is_cached(get_scanner_elements(*names))
    happens(bridge)
    assert not bridge.is_cached(get_scanner_elements(*names))


@pytest.mark.parametrize("event", STATUS_EVENTS)
def test_a_status_event_invalidates_only_answers_with_the_status(bridge, event):
    for names in (DESCRIPTION, STATUS, BOTH):
        bridge.cache_elements(names)
    bridge.tell(announcement(event))
    assert [bridge.is_cached(get_scanner_elements(*names)) for names in (DESCRIPTION, STATUS, BOTH)] == [
        True, False, False]


@pytest.mark.parametrize("raw", [create_scan_job(), job_request("RetrieveImage"), job_request("CancelJob")])
@pytest.mark.parametrize("end", ["answered", "failed", "an image"])
def test_the_status_is_invalidated_when_a_job_request_is_sent_and_when_it_ends(bridge, raw, end):
    bridge.cache_elements(STATUS)
    bridge.cache_elements()
    forward = bridge.ask(raw, send=False)
    assert bridge.is_cached(get_scanner_elements(*STATUS))
    bridge.scanner.sent(forward, bridge.now)
    assert not bridge.is_cached(get_scanner_elements(*STATUS))
    bridge.cache_elements(STATUS, note="busy")
    assert b"busy" in bridge.ask(get_scanner_elements(*STATUS)).body
    if end == "answered":
        bridge.learn(forward, created_job("1"))
    elif end == "failed":
        bridge.scanner.fail(forward, FAILED, bridge.now)
    else:
        bridge.scanner.image_ended(forward.question, 0.0, whole=False)
    assert not bridge.is_cached(get_scanner_elements(*STATUS))
    assert bridge.is_cached(get_scanner_elements(*DESCRIPTION))


# Waiting for shared requests.

def test_all_clients_wait_for_one_request(bridge):
    raw = get_scanner_elements(*STATUS, message_id="urn:uuid:mine")
    forward = bridge.ask(get_scanner_elements(*STATUS), send=False)
    early = bridge.ask(raw)
    bridge.scanner.sent(forward, bridge.now)
    late = bridge.ask(raw)
    assert early.forward is late.forward is forward
    reply = Reply(200, SOAP_TYPE, scanner_elements(*STATUS, note="<a/>"))
    assert bridge.scanner.learn(forward, reply, bridge.now).reply is reply
    answer = bridge.scanner.joined(bridge.question(raw), forward, reply, bridge.now)
    assert read(answer.body).relates_to == "urn:uuid:mine"
    assert b"<a/>" in answer.body


@pytest.mark.parametrize("doubt", [lambda bridge: bridge.tell(announcement(STATUS_EVENTS[1])),
                                   lambda bridge: bridge.ask(job_request("CancelJob"))])
def test_no_client_joins_a_request_sent_before_the_change(bridge, doubt):
    first = bridge.ask(get_scanner_elements(*STATUS))
    doubt(bridge)
    second = bridge.ask(get_scanner_elements(*STATUS))
    assert isinstance(second, Forward)
    bridge.learn(first, scanner_elements(*STATUS, note="old"))
    assert bridge.ask(get_scanner_elements(*STATUS)).forward is second
    bridge.learn(second, scanner_elements(*STATUS, note="new"))
    assert b"new" in bridge.ask(get_scanner_elements(*STATUS)).body


def test_an_answer_overtaken_by_a_job_request_goes_only_to_waiting_clients(bridge):
    raw = get_scanner_elements(*STATUS)
    forward, waiting = bridge.ask(raw), bridge.ask(raw)
    bridge.ask(create_scan_job())
    reply = Reply(200, SOAP_TYPE, scanner_elements(*STATUS))
    assert isinstance(bridge.scanner.learn(forward, reply, bridge.now), Pass)
    assert isinstance(bridge.scanner.joined(bridge.question(raw), waiting.forward, reply, bridge.now), Answer)
    assert not bridge.is_cached(raw)


def test_no_answer_older_than_a_shown_one_is_shown(bridge):
    slow, waiting = bridge.ask(get_scanner_elements(*STATUS)), bridge.ask(get_scanner_elements(*STATUS))
    bridge.ask(create_scan_job())
    bridge.cache_elements(STATUS, note="new")
    reply = Reply(200, SOAP_TYPE, scanner_elements(*STATUS, note="old"))
    assert b"new" in bridge.scanner.learn(slow, reply, bridge.now).body
    question = bridge.question(get_scanner_elements(*STATUS))
    assert b"new" in bridge.scanner.joined(question, waiting.forward, reply, bridge.now).body


@pytest.mark.parametrize("announce", [lambda bridge: bridge.tell(announcement(STATUS_EVENTS[2])),
                                      lambda bridge: bridge.tell(ELEMENTS_CHANGED),
                                      lambda bridge: bridge.scanner.rebooted()])
def test_an_answer_older_than_an_event_is_requested_again(bridge, announce):
    raw = get_scanner_elements(*BOTH)
    forward, waiting = bridge.ask(raw), bridge.ask(raw)
    announce(bridge)
    reply = Reply(200, SOAP_TYPE, scanner_elements(*BOTH, note="old"))
    again = bridge.scanner.learn(forward, reply, bridge.now)
    assert isinstance(again, Forward) and again.asks == 2
    bridge.scanner.sent(again, bridge.now)
    still = bridge.scanner.joined(bridge.question(raw), waiting.forward, reply, bridge.now)
    assert still.forward is again
    assert isinstance(bridge.learn(again, scanner_elements(*BOTH, note="new")), Pass)
    assert b"new" in bridge.ask(raw).body


def test_a_fault_is_never_outdated(bridge):
    forward = bridge.ask(get_scanner_elements(*STATUS))
    bridge.tell(announcement(STATUS_EVENTS[1]))
    assert isinstance(bridge.learn(forward, fault("wscn:ServerErrorTemporaryError"), 500), Pass)


def outdated(bridge, raw, times, note=""):
    """Asks, with an event during each of `times` requests; returns the last decision and the request that led to it."""
    decision = bridge.ask(raw)
    for number in range(times):
        assert isinstance(decision, Forward)
        last = decision
        bridge.tell(announcement(STATUS_EVENTS[0], message_id=f"urn:uuid:{note}{number}"))
        decision = bridge.learn(decision, scanner_elements(*STATUS, note=note))
    return decision, last


def test_a_client_whose_answers_are_always_outdated_gets_the_last_one_unchanged(bridge):
    decision, _ = outdated(bridge, get_scanner_elements(*STATUS), MAX_STATUS_ASKS, note="late")
    assert isinstance(decision, Pass) and decision.reply.body == scanner_elements(*STATUS, note="late")


def test_an_outdated_answer_is_not_cached(bridge):
    outdated(bridge, get_scanner_elements(*STATUS), MAX_STATUS_ASKS)
    assert not bridge.is_cached(get_scanner_elements(*STATUS))


def test_an_outdated_answer_is_not_shared(bridge):
    raw = get_scanner_elements(*STATUS)
    _, last = outdated(bridge, raw, MAX_STATUS_ASKS, note="late")
    outcome = Reply(200, SOAP_TYPE, scanner_elements(*STATUS, note="late"))
    first, second = (bridge.scanner.joined(bridge.question(raw), last, outcome, bridge.now) for _ in range(2))
    assert isinstance(first, Forward) and isinstance(second, Join) and second.forward is first
    bridge.scanner.sent(first, bridge.now)
    answer = scanner_elements(*STATUS, note="new")
    assert isinstance(bridge.learn(first, answer), Pass)
    shared = bridge.scanner.joined(bridge.question(raw), first, Reply(200, SOAP_TYPE, answer), bridge.now)
    assert b"new" in shared.body


def test_each_waiting_client_is_answered_however_often_the_scanner_announces(bridge):
    raw = get_scanner_elements(*STATUS)
    _, last = outdated(bridge, raw, MAX_STATUS_ASKS)
    outcome = Reply(200, SOAP_TYPE, scanner_elements(*STATUS))
    for number in range(MAX_ASKS + 1):
        last = bridge.scanner.joined(bridge.question(raw), last, outcome, bridge.now)
        assert isinstance(last, Forward)
        bridge.scanner.sent(last, bridge.now)
        bridge.tell(announcement(STATUS_EVENTS[0], message_id=f"urn:uuid:again-{number}"))
        assert isinstance(bridge.scanner.learn(last, outcome, bridge.now), Pass)


def test_a_cached_answer_takes_precedence_over_an_outdated_one(bridge):
    raw = get_scanner_elements(*STATUS)
    slow, _ = outdated(bridge, raw, MAX_STATUS_ASKS - 1)
    bridge.scanner.sent(slow, bridge.now)
    bridge.tell(announcement(STATUS_EVENTS[0], message_id="urn:uuid:last"))
    bridge.learn(bridge.ask(raw), scanner_elements(*STATUS, note="new"))
    decision = bridge.learn(slow, scanner_elements(*STATUS, note="late"))
    assert isinstance(decision, Answer) and b"new" in decision.body


def test_a_request_sent_before_an_outdated_answer_was_shown_is_repeated(bridge):
    """The outdated answer may contain a change that the scanner has not announced."""
    raw = get_scanner_elements(*STATUS)
    slow, _ = outdated(bridge, raw, MAX_STATUS_ASKS - 1)
    bridge.scanner.sent(slow, bridge.now)
    bridge.tell(announcement(STATUS_EVENTS[0], message_id="urn:uuid:last"))
    other = bridge.ask(raw)
    assert isinstance(other, Forward)
    assert isinstance(bridge.learn(slow, scanner_elements(*STATUS, note="as it came")), Pass)
    assert isinstance(bridge.learn(other, scanner_elements(*STATUS, note="from before")), Forward)
    assert not bridge.is_cached(raw)


# Lists of jobs.

@pytest.mark.parametrize("which", [ACTIVE, HISTORY])
def test_a_list_is_cached_for_one_poll_interval(bridge, which):
    bridge.cache_list(which)
    bridge.now += 0.9
    assert bridge.is_cached(plain(which[0]))
    bridge.now += 0.2
    assert not bridge.is_cached(plain(which[0]))


def test_a_list_is_cached_longer_if_jobs_are_announced(bridge):
    bridge.tell(status_event("1", "Processing", 1))
    bridge.cache_list(ACTIVE, ("1", "Processing", 1))
    bridge.now += 29.0
    assert bridge.is_cached(plain("GetActiveJobs"))
    bridge.now += 1.1
    assert not bridge.is_cached(plain("GetActiveJobs"))


def canceled(bridge):
    bridge.learn(bridge.ask(job_request("CancelJob", "1")), job_request("CancelJobResponse", "1"))


@pytest.mark.parametrize(("happens", "holds"), [
    (lambda bridge: bridge.tell(status_event("1", "Processing", 2)), False),
    (lambda bridge: bridge.tell(status_event("1", "Processing", 1, message_id="urn:uuid:again")), True),
    (lambda bridge: bridge.tell(end_event("1", "Completed", 1)), False),
    (lambda bridge: bridge.tell(status_event("2", "Pending", 0)), False),
    (lambda bridge: bridge.learn(bridge.ask(create_scan_job()), created_job("2")), False),
    (lambda bridge: bridge.learn(bridge.ask(create_scan_job()), fault("wscn:ServerErrorNotAcceptingJobs"), 500), True),
    (canceled, False), (lambda bridge: bridge.scanner.rebooted(), False),
    (lambda bridge: bridge.learn(bridge.ask(get_job_elements("3")), status_response("3", "Held")), False),
    (lambda bridge: bridge.tell(announcement(STATUS_EVENTS[0])), True),
    (lambda bridge: bridge.tell(ELEMENTS_CHANGED), True)])
def test_a_list_is_cached_until_a_job_changes(bridge, happens, holds):
    bridge.tell(status_event("1", "Processing", 1, message_id="urn:uuid:before"))
    bridge.cache_list(ACTIVE, ("1", "Processing", 1))
    assert bridge.is_cached(plain("GetActiveJobs"))
    happens(bridge)
    assert bridge.is_cached(plain("GetActiveJobs")) is holds


def test_a_list_with_news_for_the_job_table_is_cached(bridge):
    bridge.cache_list(HISTORY)
    bridge.cache_list(ACTIVE, ("7", "Processing", 1), ("8", "Pending", 0))
    assert bridge.is_cached(plain("GetActiveJobs"))
    assert not bridge.is_cached(plain("GetJobHistory"))  # it was cached before that


@pytest.mark.parametrize(("which", "event"), [
    (ACTIVE, status_event("5", "Pending", 0)), (HISTORY, end_event("5", "Completed", 1))])
def test_a_list_older_than_an_announced_job_is_requested_again(bridge, which, event):
    raw = plain(which[0])
    forward, waiting = bridge.ask(raw), bridge.ask(raw)
    bridge.tell(event)
    assert isinstance(bridge.ask(raw), Forward)
    reply = Reply(200, SOAP_TYPE, listing(*which))
    decision = bridge.scanner.learn(forward, reply, bridge.now)
    assert isinstance(decision, Join)  # for the request of the later client
    assert bridge.scanner.joined(bridge.question(raw), waiting.forward, reply, bridge.now).forward is decision.forward


def test_an_answer_that_may_be_older_than_a_change_is_shown_and_not_cached(bridge):
    forward = bridge.ask(plain("GetActiveJobs"))
    bridge.tell(status_event("5", "Pending", 0))
    assert isinstance(bridge.learn(forward, listing(*ACTIVE, ("5", "Pending", 0))), Pass)
    assert not bridge.is_cached(plain("GetActiveJobs"))


def test_a_list_older_than_a_reboot_is_not_used(bridge):
    forward = bridge.ask(plain("GetActiveJobs"))
    bridge.scanner.rebooted()
    assert isinstance(bridge.learn(forward, listing(*ACTIVE)), Forward)


# Without the cache.

def test_without_the_cache_every_request_goes_to_the_scanner():
    bridge = CachingBridge(cache=False)
    for raw, body in ((get_scanner_elements(*STATUS), scanner_elements(*STATUS)),
                      (plain("GetActiveJobs"), listing(*ACTIVE))):
        first, second = bridge.ask(raw), bridge.ask(raw)
        assert isinstance(first, Forward) and isinstance(second, Forward)
        assert not first.shared
        assert isinstance(bridge.learn(first, body), Pass)
        assert isinstance(bridge.ask(raw), Forward)


def test_the_cache_can_be_switched_at_run_time(bridge):
    def adjust(**more):
        bridge.scanner.adjust(scanner_options(max_age=30.0, poll_interval=5.0, history=5, max_subscriptions=9, **more))

    bridge.cache_elements()
    adjust(cache=False)
    assert not bridge.is_cached(get_scanner_elements(*DESCRIPTION))
    adjust(elements=4.0)
    bridge.cache_elements()
    bridge.cache_elements(STATUS)
    bridge.now += 3.9
    assert bridge.is_cached(get_scanner_elements(*DESCRIPTION))
    bridge.now += 0.2
    assert not bridge.is_cached(get_scanner_elements(*DESCRIPTION))
    assert not bridge.is_cached(get_scanner_elements(*STATUS))
