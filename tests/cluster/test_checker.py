"""The checker of histories: it accepts what several gateways may do, and finds each kind of broken promise."""

import attrs
import pytest

from tests.cluster.checker import check, missed_ends
from tests.cluster.history import (
    NO_ANSWER,
    Announcement,
    Answer,
    Asked,
    Connection,
    Delivery,
    History,
    Loss,
    Outage,
    Pause,
    Status,
    Subscription,
)

MADE = "2026-11-22T10:00:00Z"


def status(state, scans=0, job_id="1", created=MADE):
    return Status(job_id, state, scans, created)


def read(begin, end, state, *, gateway="a", scans=0, **more):
    return Answer(begin, end, gateway, "GetJobElements", "1", status(state, scans, **more))


def announced(begin, end, state, *, gateway="a", scans=0, event="JobStatusEvent"):
    return Announcement(begin, end, gateway, event, status(state, scans))


def cancel(begin, end, fault=None):
    return Answer(begin, end, "a", "CancelJob", "1", fault=fault)


def renewed(begin, end, fault=None):
    return Answer(begin, end, "a", "Renew", fault=fault, sink="s")


def delivered(at, state, *, message_id="urn:1", sink="s", scans=0, event="JobStatusEvent"):
    return Delivery(at, sink, event, message_id, status(state, scans))


def created(begin, *, request="urn:create", job_id="1", gateway="a"):
    return Asked(begin, begin + 0.1, gateway, "CreateScanJob", request, job_id)


def kinds(history):
    return [violation.partition(":")[0] for violation in check(history).violations]


PRESS = Announcement(2.0, 2.1, "a", "ScanAvailableEvent", identifier="scan-1")
PANEL = Delivery(2.2, "s", "ScanAvailableEvent", "urn:1", identifier="scan-1")
GOOD = {
    "statuses advance at two gateways": History(answers=(
        read(1, 2, "Pending"), read(3, 4, "Processing", gateway="b"), read(5, 6, "Completed", scans=1))),
    "a read that began before the announcement ended": History(
        answers=(read(1, 3, "Pending"),),
        announcements=(announced(0.1, 0.2, "Pending"), announced(1.5, 2, "Processing"))),
    "a list that agrees with what was announced": History(
        answers=(Answer(3, 4, "b", "GetActiveJobs", statuses=(status("Processing", created=None),)),),
        announcements=(announced(1, 2, "Processing"),)),
    "two reads that overlap": History(answers=(read(1, 3, "Processing"), read(2, 4, "Pending", gateway="b"))),
    "an announcement without 202": History(
        answers=(read(3, 4, "Pending"),),
        announcements=(announced(0.1, 0.2, "Pending"), announced(1, None, "Processing"))),
    "a fault instead of a status": History(
        answers=(read(1, 2, "Completed"), Answer(3, 4, "b", "GetJobElements", "1", fault="ServerErrorTemporaryError"))),
    "a status from before a CancelJob that failed": History(answers=(
        cancel(1, 2, "ServerErrorTemporaryError"), read(3, 4, "Processing"))),
    "a read that overlaps the CancelJob": History(answers=(cancel(1, 3), read(2, 4, "Processing"))),
    "a new job with the same JobId": History(answers=(
        read(1, 2, "Completed"), read(3, 4, "Pending", created="2026-11-22T10:05:00Z", gateway="b"))),
    "a CreateScanJob that is sent again": History(
        answers=(Answer(1, 2, "a", "CreateScanJob", None, fault=NO_ANSWER, request="urn:create"),
                 Answer(3, 4, "b", "CreateScanJob", "1", request="urn:create")),
        asked=(created(1.5), created(3.5, job_id=None))),
    "an event that comes twice with one MessageID": History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Pending"),),
        deliveries=(delivered(2.2, "Pending"), delivered(7.0, "Pending"))),
    "an event that the scanner sent twice": History(
        subscriptions=(Subscription("s", 1),),
        announcements=(announced(2, 2.1, "Pending"), announced(3, 3.1, "Pending")),
        deliveries=(delivered(2.2, "Pending"), delivered(3.2, "Pending", message_id="urn:2"))),
    "a lost press": History(subscriptions=(Subscription("s", 1, events=("ScanAvailableEvent",)),),
                            announcements=(PRESS,)),
    "an event before Unsubscribe that still waited": History(
        subscriptions=(Subscription("s", 1, 2.15),), announcements=(announced(2, 2.1, "Pending"),)),
    "an event before the subscription was granted": History(
        subscriptions=(Subscription("s", 2.05),), announcements=(announced(2, 2.1, "Pending"),)),
    "a Renew of a subscription that was ended": History(
        answers=(renewed(3, 4, "InvalidMessage"),), subscriptions=(Subscription("s", 1, 3.5),)),
    "a Renew that cannot be answered now": History(
        answers=(renewed(3, 4, "ServerErrorTemporaryError"),), subscriptions=(Subscription("s", 1),)),
    "connections one after the other": History(
        max_connections=1, connections=(Connection(1, 3), Connection(2.7, 5), Connection(4.6, 6))),
    "a connection of a gateway that was stopped": History(
        max_connections=1, connections=(Connection(1, 9, "a"), Connection(5, 10, "b")), pauses=(Pause("a", 2, 8),)),
    "a connection more while CancelJob is asked": History(
        max_connections=1, connections=(Connection(1, 9, "a"), Connection(3, 5, "a")), answers=(cancel(2.9, 4.6),)),
    "a connection more while a subscription is renewed": History(
        max_connections=1, connections=(Connection(1, 9, "a"), Connection(3, 5, "a")),
        asked=(Asked(2.9, 4.6, "a", "Renew"),)),
    "a state that the gateway has not told, since it knew a later one already": History(
        subscriptions=(Subscription("s", 1),), announcements=(
            announced(2, 2.1, "Processing"), announced(2.2, 2.3, "Completed", scans=1)),
        asked=(Asked(1.9, 1.95, "a", "GetJobElements", statuses=(status("Completed", 1),)),),
        deliveries=(delivered(2.5, "Completed", scans=1),)),
    "two events of a state that the former owner had made and was told, from the next owner": History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Pending"),),
        asked=(created(1.5), Asked(2.2, 2.3, "a", "GetJobElements", statuses=(status("Pending"),)),
               Asked(6.9, 6.95, "b", "GetJobElements", statuses=(status("Processing"),))),
        deliveries=(delivered(7.0, "Pending"), delivered(7.1, "Pending", message_id="urn:2"))),
    "an event that was lost with its owner after Redis was emptied": History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Pending"),),
        outages=(Outage(3, 4, is_emptied=True),), losses=(Loss("a", 5, 5.1),)),
    "a state that was told by an event of the gateway before": History(
        subscriptions=(Subscription("s", 1),), announcements=(
            announced(2, 2.1, "Processing"), announced(2.2, 2.3, "Completed", scans=1)),
        deliveries=(delivered(1.9, "Completed", scans=1),)),
    "an event of the gateway and then the scanner's": History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Pending"),),
        deliveries=(delivered(1.9, "Pending"), delivered(2.2, "Pending", message_id="urn:2"))),
    "an event that an owner could not write before it ended": History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Pending"),), outages=(Outage(1, 4),),
        losses=(Loss("a", 3, 3.1),)),
    "an event that is made again, since the former owner could not write it": History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Pending"),), outages=(Outage(1, 4),),
        losses=(Loss("a", 6, 6.1),),
        deliveries=(delivered(2.2, "Pending"), delivered(7.0, "Pending", message_id="urn:2"))),
    "an event that the same owner makes after the scanner's": History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Pending"),),
        asked=(created(1.5), Asked(6.9, 6.95, "a", "GetJobElements", statuses=(status("Pending"),))),
        deliveries=(delivered(2.2, "Pending"), delivered(7.0, "Pending", message_id="urn:2"))),
    "an image that another gateway passes on": History(
        answers=(Answer(1, 2, "a", "RetrieveImage", "1", image="page"),),
        asked=(Asked(1.1, 1.9, "b", "RetrieveImage", job_id="1", image="page"),)),
    "two jobs of one CreateScanJob that Redis was not told of before its owner was lost": History(
        asked=(created(2), created(6, job_id="2", gateway="b")), outages=(Outage(1, 4),), losses=(Loss("a", 3, 3.1),),
        answers=(Answer(1.9, 3.1, "a", "CreateScanJob", fault=NO_ANSWER, request="urn:create"),
                 Answer(3.5, 6.2, "b", "CreateScanJob", "2", request="urn:create"))),
    "two jobs of one CreateScanJob, asked for while a gateway was alone": History(
        asked=(created(1), created(3, job_id="2", gateway="b")), pauses=(Pause("a", 2, 8, alone=True),),
        answers=tuple(Answer(number, number + 1, "a", "CreateScanJob", job_id, request="urn:create")
                      for number, job_id in ((0.9, "1"), (2.9, "2")))),
    "an announcement and CancelJob at a gateway that is alone": History(
        answers=(cancel(1, 2), read(3, 4, "Pending", gateway="b")), pauses=(Pause("a", 0.5, 7, alone=True),),
        announcements=(announced(0.6, 0.7, "Pending"), announced(1.5, 2, "Terminating"))),
    "a CancelJob of which a gateway that is alone does not know yet": History(
        answers=(read(0.1, 0.2, "Processing"), cancel(1, 2), read(3, 4, "Processing", gateway="b")),
        pauses=(Pause("b", 0.5, 7, alone=True),)),
    "a second's worth of requests at once": History(max_rate=4.0, asked=tuple(
        Asked(moment, moment, "a", "GetJobElements") for moment in (1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0))),
    "two gateways that are alone": History(
        answers=(read(1, 2, "Processing", gateway="b"), read(3, 4, "Pending"), read(5, 6, "Processing")),
        pauses=(Pause("a", 2.5, 7, alone=True),)),
}
BAD = {
    "older than an announcement": ("older", History(
        answers=(read(3, 4, "Pending", gateway="b"),),
        announcements=(announced(0.5, 0.6, "Pending"), announced(1, 2, "Processing")))),
    "older than shown by the other gateway": ("older", History(
        answers=(read(1, 2, "Processing", scans=2), read(3, 4, "Processing", scans=1, gateway="b")))),
    "older than shown before a newer one": ("older", History(answers=(
        read(1, 2, "Processing", scans=1), read(1, 6, "Pending"), read(7, 8, "Started")))),
    "older than an event that reached a sink": ("older", History(
        answers=(read(3, 4, "Pending"),), deliveries=(delivered(2, "Processing"),))),
    "older than the JobEndStateEvent": ("final to active", History(
        answers=(read(0.5, 0.6, "Processing"), read(3, 4, "Processing")),
        announcements=(Announcement(1, 2, "a", "JobEndStateEvent", Status("1", "Completed", 1)),
                       announced(0.1, 0.2, "Processing")))),
    "final to active": ("final to active", History(answers=(
        read(1, 2, "Completed"), read(3, 4, "Processing", gateway="b")))),
    "a list that is older than an announcement": ("older", History(
        answers=(Answer(3, 4, "b", "GetActiveJobs", statuses=(status("Pending", created=None),)),),
        announcements=(announced(0.5, 0.6, "Pending"), announced(1, 2, "Processing")))),
    "another end": ("final changed", History(answers=(read(1, 2, "Completed"), read(3, 4, "Aborted", gateway="b")))),
    "before CancelJob": ("before CancelJob", History(answers=(
        read(0.1, 0.2, "Processing"), cancel(1, 2), read(3, 4, "Processing", gateway="b")))),
    "the old job of a JobId": ("old job", History(answers=(
        read(1, 2, "Pending", created="2026-11-22T10:05:00Z"), read(3, 4, "Completed", gateway="b")))),
    "a status of another job": ("invented", History(answers=(read(1, 2, "Pending", job_id="2"),))),
    "a state that the scanner never told": ("invented", History(
        answers=(read(3, 4, "Completed"),), announcements=(announced(1, 2, "Pending"),))),
    "two jobs of one CreateScanJob": ("two jobs", History(asked=(created(1), created(3, job_id="2", gateway="b")))),
    "two jobs of one CreateScanJob, whose owner was lost with Redis there": ("two jobs", History(
        asked=(created(5), created(9, job_id="2", gateway="b")), outages=(Outage(1, 4),),
        losses=(Loss("a", 6, 6.1),))),
    "two answers to one CreateScanJob": ("two answers", History(answers=tuple(
        Answer(number, number + 1, "a", "CreateScanJob", str(number), request="urn:create") for number in (1, 3)))),
    "a job that was not made": ("invented", History(
        answers=(Answer(1, 2, "a", "CreateScanJob", "7", request="urn:create"),), asked=(created(1.5),))),
    "a lost event": ("event lost", History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Pending"),),
        deliveries=(delivered(2.2, "Pending", sink="other"),))),
    "a lost event, though an earlier state was told before": ("event lost", History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Processing"),),
        deliveries=(delivered(1.9, "Pending"),))),
    "a lost event, though a later one was announced": ("event lost", History(
        subscriptions=(Subscription("s", 1),), announcements=(
            announced(2, 2.1, "Processing"), announced(2.2, 2.3, "Completed")),
        deliveries=(delivered(2.4, "Completed"),))),
    "a lost end, though it was told as a state": ("event lost", History(
        subscriptions=(Subscription("s", 1),), deliveries=(delivered(1.9, "Completed"),),
        announcements=(announced(2, 2.1, "Completed", event="JobEndStateEvent"),))),
    "an event that was lost long after an outage": ("event lost", History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(9, 9.1, "Pending"),), outages=(Outage(1, 4),),
        losses=(Loss("a", 9.2, 9.3),))),
    "an event that was lost in an outage, though no gateway was lost": ("event lost", History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Pending"),), outages=(Outage(1, 4),))),
    "an event that was lost long before its owner": ("event lost", History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Pending"),),
        outages=(Outage(1, 14),), losses=(Loss("a", 12, 12.1),))),
    "an image that the scanner has not sent": ("image", History(
        answers=(Answer(1, 2, "a", "RetrieveImage", "1", image="half"),),
        asked=(Asked(1.1, 1.9, "a", "RetrieveImage", job_id="1", image="whole"),))),
    "an image that the scanner has sent once, and two clients got": ("image", History(
        answers=(Answer(1, 2, "a", "RetrieveImage", "1", image="page"),
                 Answer(3, 4, "b", "RetrieveImage", "1", image="page")),
        asked=(Asked(1.1, 1.9, "a", "RetrieveImage", job_id="1", image="page"),))),
    "an answer without an image": ("image", History(answers=(Answer(1, 2, "a", "RetrieveImage", "1"),))),
    "a lost subscription": ("subscription lost", History(
        answers=(renewed(3, 4, "InvalidMessage"),), subscriptions=(Subscription("s", 1),))),
    "a press that comes twice": ("panel event twice", History(
        subscriptions=(Subscription("s", 1, events=("ScanAvailableEvent",)),), announcements=(PRESS,),
        deliveries=(PANEL, attrs.evolve(PANEL, at=7.0)))),
    "an event that comes again with another MessageID": ("MessageID", History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Pending"),),
        deliveries=(delivered(2.2, "Pending"), delivered(7.0, "Pending", message_id="urn:2")))),
    "an event that the next owner makes although it was told": ("MessageID", History(
        subscriptions=(Subscription("s", 1),), announcements=(announced(2, 2.1, "Pending"),),
        asked=(created(1.5), Asked(6.9, 6.95, "b", "GetJobElements", statuses=(status("Pending"),))),
        deliveries=(delivered(2.2, "Pending"), delivered(7.0, "Pending", message_id="urn:2")))),
    "too many connections": ("max_connections", History(
        max_connections=1, connections=(Connection(1, 9, "a"), Connection(5, 10, "b")))),
    "a connection more before CancelJob is asked": ("max_connections", History(
        max_connections=1, connections=(Connection(1, 9, "a"), Connection(3, 7, "a")), answers=(cancel(6.0, 6.6),))),
    "two connections more, though CancelJob is asked": ("max_connections", History(
        max_connections=1, connections=(Connection(1, 9, "a"), Connection(3, 7, "a"), Connection(3.1, 7, "a")),
        answers=(cancel(2.9, 6.6),))),
    "too many requests at once, however short": ("max_connections", History(max_connections=1, asked=(
        Asked(1.0, 1.02, "a", "GetJobElements"), Asked(1.01, 1.03, "b", "GetJobElements")))),
    "a connection that outlives the stop of its gateway": ("max_connections", History(
        max_connections=1, connections=(Connection(1, 20, "a"), Connection(5, 20, "b")), pauses=(Pause("a", 2, 8),))),
    "too many requests": ("max_rate", History(max_rate=2.0, asked=tuple(
        Asked(moment, moment, "a", "GetJobElements") for moment in (1.0, 1.0, 1.1, 1.1, 1.2, 1.2)))),
    "alone, and not asked since a CancelJob at another gateway": ("before CancelJob", History(
        answers=(read(0.1, 0.2, "Processing"), cancel(1, 2), read(4, 5, "Processing", gateway="b")),
        pauses=(Pause("b", 0.5, 7, alone=True),))),
    "alone, and older than it had shown itself": ("older", History(
        answers=(read(3, 4, "Processing"), read(5, 6, "Pending")), pauses=(Pause("a", 2.5, 7, alone=True),))),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_allowed_is_accepted(name):
    assert kinds(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_a_broken_promise_is_found(name):
    kind, history = BAD[name]
    assert kinds(history) == [kind]


def test_faults_are_counted():
    verdict = check(History(answers=(
        read(1, 2, "Pending"), Answer(3, 4, "b", "GetJobElements", "1", fault="ServerErrorTemporaryError"),
        Answer(3, 4, "b", "CancelJob", "1", fault=NO_ANSWER))))
    assert verdict.violations == []
    assert verdict.counts["GetJobElements"] == 2
    assert verdict.counts["GetJobElements: ServerErrorTemporaryError"] == 1
    assert verdict.counts["CancelJob: no answer"] == 1


def test_the_evidence_is_bounded():
    reads = tuple(read(number, number + 0.5, "Pending") for number in range(10, 100))
    verdict = check(History(answers=(read(1, 2, "Completed"), *reads)))
    assert len(verdict.violations) == 20
    assert "final to active: 70 more" in str(verdict)


def test_an_end_that_a_subscription_missed():
    asked = (created(2.0), Asked(3.0, 3.1, "b", "GetJobElements", statuses=(status("Completed", 1),)))
    history = History(subscriptions=(Subscription("s", 1), Subscription("late", 2.5)), asked=asked)
    assert missed_ends(history) == [("s", "1")]
    end = Delivery(4.0, "s", "JobEndStateEvent", "urn:9", Status("1", "Completed", 1))
    assert missed_ends(attrs.evolve(history, deliveries=(end,))) == []
    lost = attrs.evolve(history, losses=(Loss("a", 2.5, 2.6),))
    assert missed_ends(attrs.evolve(lost, outages=(Outage(1.5, 4.0),))) == []
    assert missed_ends(attrs.evolve(lost, outages=(Outage(12.0, 14.0),))) == [("s", "1")]
    assert missed_ends(attrs.evolve(history, outages=(Outage(1.5, 4.0),))) == [("s", "1")]
