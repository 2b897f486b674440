"""Tests of bridge.scanjobs.scanjobs: what is sent to the scanner, and what the client is told, step by step."""

import attrs
import pytest

from tests.bridge.scanjobs.orders import (
    BROKEN,
    CONFLICT,
    INTERNAL,
    NO_IMAGES,
    NOT_ACCEPTING,
    PAGE,
    TEMPORARY,
    UNKNOWN,
    UNREACHABLE,
    Jobs,
    Ticket,
    feeder,
    platen,
    status,
)
from wsdgateway.bridge.scanjobs.jobsteps import FULL_SECONDS, LISTED_SECONDS, MAX_LISTED, SENT_SECONDS
from wsdgateway.bridge.scanjobs.phases import Phase
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import Order, Reason, Refusal
from wsdgateway.bridge.scanjobs.scanjobs import BUSY_SECONDS, MAX_BROKEN, MAX_WAITING, PAUSES
from wsdgateway.scan.jobs import CreatedJob


@pytest.fixture
def jobs():
    return Jobs()


def test_a_page_from_the_platen(jobs):
    job = jobs.submit(platen())
    assert (job.state, jobs.did) == ("Pending", ["Create"])
    jobs.call("created", job, CreatedJob("7", "token"))
    assert (job.state, jobs.did) == ("Pending", ["Record"])
    jobs.call("recorded", job)
    assert (job.state, jobs.did) == ("Processing", ["Retrieve"])
    assert jobs.engine.next_page(job, jobs.now)[0] is None  # nothing of it has arrived
    page = jobs.deliver(job)
    assert jobs.did == ["Forget"]
    assert (job.phase, job.state, page.media_type) == (Phase.OVER, "Processing", "image/jpeg")
    assert jobs.fetch(job) == 1
    assert (job.state, job.end.reason, jobs.room.unfetched, jobs.room.used) == ("Completed", Reason.FINISHED, 0, PAGE)
    assert jobs.fetch(job) is None
    assert (jobs.did, jobs.room.used) == (["Discard"], 0)


def test_pages_of_a_feeder_are_retrieved_until_there_are_no_more(jobs):
    job = jobs.begin(feeder())
    for _ in range(3):
        jobs.deliver(job)
    assert jobs.did == ["Retrieve"] * 4
    jobs.call("page_refused", job, NO_IMAGES)
    assert jobs.did == ["Discard", "Judge"]
    jobs.call("judged", job, status("Completed"))
    assert jobs.did == ["Forget"]
    assert [jobs.fetch(job) for _ in range(4)] == [1, 2, 3, None]
    assert (job.state, jobs.room.used) == ("Completed", 0)


def test_the_first_page_can_be_read_while_it_arrives(jobs):
    job = jobs.begin(platen())
    jobs.call("received", job, PAGE)
    jobs.page.size = PAGE
    page, _ = jobs.engine.next_page(job, jobs.now)
    assert (page, page.complete) == (jobs.page, False)


@pytest.mark.parametrize(("order", "refusal", "judged", "state", "reason"), [
    (feeder(), NO_IMAGES, None, "Aborted", Reason.FEEDER_EMPTY),
    (feeder(), UNKNOWN, None, "Aborted", Reason.FEEDER_EMPTY), (feeder(), CONFLICT, None, "Aborted", Reason.FAILED),
    (feeder(), UNKNOWN, status("Aborted"), "Aborted", Reason.STOPPED_AT_DEVICE),
    (platen(), NO_IMAGES, None, "Aborted", Reason.FAILED),
    (platen(), UNKNOWN, None, "Canceled", Reason.CANCELED_AT_DEVICE),
    (feeder(), NO_IMAGES, status("Aborted"), "Aborted", Reason.STOPPED_AT_DEVICE),
    (feeder(), NO_IMAGES, status("Aborted", "JobTimedOut"), "Aborted", Reason.FAILED),
    (feeder(), NO_IMAGES, status("Canceled"), "Canceled", Reason.CANCELED_AT_DEVICE),
    (feeder(), Refusal("ClientErrorJobCancelled"), ..., "Canceled", Reason.CANCELED_AT_DEVICE),
    (platen(), Refusal("ClientErrorJobCanceled"), ..., "Canceled", Reason.CANCELED_AT_DEVICE),
    (platen(), INTERNAL, None, "Aborted", Reason.FAILED),
    (platen(), INTERNAL, status("Aborted"), "Aborted", Reason.STOPPED_AT_DEVICE),
])
def test_a_refused_first_image(jobs, order, refusal, judged, state, reason):
    job = jobs.begin(order)
    jobs.call("page_refused", job, refusal)
    if judged is not ...:
        assert jobs.did == ["Retrieve", "Discard", "Judge"]
        jobs.call("judged", job, judged)
        assert jobs.did == ["Forget"]
    else:
        assert jobs.did == ["Retrieve", "Discard", "Forget"]
    assert (job.state, job.end.reason, job.end.fault) == (state, reason, refusal.fault)


@pytest.mark.parametrize("refusal", [NO_IMAGES, UNKNOWN, CONFLICT])
def test_after_an_image_there_are_no_more_whatever_the_status(jobs, refusal):
    job = jobs.begin(feeder())
    jobs.deliver(job)
    jobs.call("page_refused", job, refusal)
    jobs.call("judged", job, None)
    assert "Cancel" not in jobs.did
    assert [jobs.fetch(job), jobs.fetch(job)] == [1, None]
    assert job.state == "Completed"


@pytest.mark.parametrize("refusal", [NO_IMAGES, UNKNOWN])
def test_complete_pages_are_delivered_before_the_end_is_told(jobs, refusal):
    job = jobs.begin(feeder())
    jobs.deliver(job)
    jobs.call("page_refused", job, refusal)
    jobs.call("judged", job, status("Aborted"))
    assert job.state == "Processing"
    assert [jobs.fetch(job), jobs.fetch(job)] == [1, None]
    assert (job.state, job.end.reason) == ("Aborted", Reason.STOPPED_AT_DEVICE)


@pytest.mark.parametrize(("order", "refusal", "completed", "state"), [
    (feeder(), Refusal("OperationFailed"), 2, "Completed"), (feeder(), Refusal("HTTP 500"), None, "Completed"),
    (feeder(), Refusal("OperationFailed"), 3, "Aborted"), (feeder(images=3), INTERNAL, 2, "Completed"),
    (feeder(), BROKEN, 2, "Aborted"), (feeder(), NO_IMAGES, 3, "Completed")])
def test_any_refusal_after_the_last_image_of_a_completed_job_is_its_end(jobs, order, refusal, completed, state):
    job = jobs.begin(order)
    jobs.deliver(job)
    jobs.deliver(job)
    jobs.call("page_refused", job, refusal)
    jobs.call("judged", job, attrs.evolve(status("Completed"), scans_completed=completed))
    assert "Cancel" not in jobs.did
    assert [jobs.fetch(job), jobs.fetch(job), jobs.fetch(job)] == [1, 2, None]
    assert job.state == state


@pytest.mark.parametrize(("order", "refusal", "is_ready", "reason"), [
    (feeder(), Refusal("OperationFailed"), True, Reason.FINISHED),
    (feeder(), Refusal("OperationFailed"), False, Reason.STOPPED_AT_DEVICE),
    (feeder(), Refusal("OperationFailed"), None, Reason.FAILED),
    (feeder(), NO_IMAGES, True, Reason.FINISHED), (feeder(), NO_IMAGES, False, Reason.STOPPED_AT_DEVICE),
    (feeder(), UNKNOWN, False, Reason.STOPPED_AT_DEVICE), (feeder(), CONFLICT, None, Reason.FINISHED),
    (feeder(), INTERNAL, True, Reason.FAILED), (feeder(), BROKEN, True, Reason.BROKEN_OFF),
    (platen(images=2), Refusal("OperationFailed"), True, Reason.FAILED),
    (platen(images=2), NO_IMAGES, False, Reason.FINISHED)])
def test_without_a_job_status_the_state_of_the_scanner_tells_the_end_of_a_feeder(
        jobs, order, refusal, is_ready, reason):
    job = jobs.begin(order)
    jobs.deliver(job)
    jobs.call("page_refused", job, refusal)
    jobs.call("judged", job, None, is_ready=is_ready)
    assert jobs.did[-1] == "Forget"
    assert job.end.reason is reason


def test_the_state_of_the_scanner_tells_nothing_if_there_is_no_page_or_the_job_has_a_status(jobs):
    job = jobs.begin(feeder())
    jobs.call("page_refused", job, Refusal("OperationFailed"))
    jobs.call("judged", job, None, is_ready=True)
    assert (job.end.reason, jobs.did[-1]) == (Reason.FAILED, "Forget")
    job = jobs.begin(feeder())
    jobs.deliver(job)
    jobs.call("page_refused", job, Refusal("OperationFailed"))
    jobs.call("judged", job, status("Aborted"), is_ready=True)
    assert job.end.reason is Reason.STOPPED_AT_DEVICE


def test_a_completed_job_of_which_no_image_came_has_failed(jobs):
    job = jobs.begin(feeder())
    jobs.call("page_refused", job, Refusal("OperationFailed"))
    jobs.call("judged", job, status("Completed"))
    assert (job.state, job.end.reason) == ("Aborted", Reason.FAILED)


def test_a_job_that_is_still_active_after_a_fault_is_canceled(jobs):
    job = jobs.begin(feeder())
    jobs.call("page_refused", job, INTERNAL)
    jobs.call("judged", job, status("Processing"))
    assert jobs.did == ["Retrieve", "Discard", "Judge", "Cancel"]
    assert job.state == "Aborted"
    jobs.call("canceled", job)
    assert (jobs.did, job.end.reason) == (["Forget"], Reason.FAILED)


def test_a_job_that_the_scanner_is_ending_is_not_canceled(jobs):
    job = jobs.begin(feeder())
    jobs.call("page_refused", job, INTERNAL)
    jobs.call("judged", job, status("Terminating"))
    assert jobs.did == ["Retrieve", "Discard", "Judge", "Forget"]
    assert job.end.reason is Reason.STOPPED_AT_DEVICE


def test_a_job_that_has_no_more_images_is_not_canceled(jobs):
    job = jobs.begin(feeder())
    jobs.deliver(job)
    jobs.call("page_refused", job, NO_IMAGES)
    jobs.call("judged", job, status("Processing"))
    assert "Cancel" not in jobs.did
    assert jobs.fetch(job) == 1
    assert job.state == "Completed"


def test_a_temporary_error_is_asked_again_with_pauses(jobs):
    job = jobs.begin(feeder())
    jobs.deliver(job)
    assert jobs.did == ["Retrieve", "Retrieve"]
    for pause in PAUSES:
        jobs.call("page_refused", job, TEMPORARY)
        jobs.pass_time(pause - 0.1)
        assert jobs.did == ["Discard"]
        jobs.pass_time(0.2)
        assert jobs.did == ["Retrieve"]
        assert jobs.page.number == 2
        jobs.engine.touch(job, jobs.now)
    jobs.call("page_refused", job, TEMPORARY)
    assert jobs.did == ["Discard", "Cancel"]
    assert (job.end.reason, job.end.fault) == (Reason.FAILED, "ServerErrorTemporaryError")
    assert jobs.fetch(job) == 1


def test_a_delivered_page_ends_the_count_of_temporary_errors(jobs):
    job = jobs.begin(feeder())
    for _ in range(3):
        jobs.call("page_refused", job, TEMPORARY)
        jobs.pass_time(PAUSES[0])
        jobs.deliver(job)
    assert jobs.page.number == 4


def test_a_scanner_that_stays_unreachable_is_sent_nothing_more(jobs):
    job = jobs.begin(feeder())
    for pause in PAUSES:
        jobs.call("page_refused", job, UNREACHABLE)
        jobs.pass_time(pause)
        jobs.engine.touch(job, jobs.now)
    jobs.call("page_refused", job, UNREACHABLE)
    jobs.call("judged", job, None)
    assert "Cancel" not in jobs.did
    assert job.end.reason is Reason.UNREACHABLE


def test_a_page_of_the_platen_that_broke_off_is_asked_for_again(jobs):
    job = jobs.begin(platen())
    for _ in range(MAX_BROKEN):
        jobs.call("received", job, 50)
        broken = jobs.page
        jobs.call("page_broken", job, BROKEN)
        assert (broken.gone, jobs.room.used) == (True, 0)
        jobs.pass_time(PAUSES[0])
        assert jobs.page.number == 1
    jobs.deliver(job)
    assert jobs.fetch(job) == 1


@pytest.mark.parametrize("refusal", [NO_IMAGES, CONFLICT, UNKNOWN])
@pytest.mark.parametrize("judged", [None, status("Completed"), status("Processing")])
def test_a_page_that_broke_off_and_is_not_given_again_is_the_reason(jobs, refusal, judged):
    job = jobs.begin(platen())
    jobs.call("page_broken", job, BROKEN)
    jobs.pass_time(PAUSES[0])
    jobs.call("page_refused", job, refusal)
    jobs.call("judged", job, judged)
    assert (job.end.reason, job.end.fault, job.end.text) == (Reason.BROKEN_OFF, BROKEN.fault, BROKEN.text)


@pytest.mark.parametrize(("judged", "did", "reason"), [
    (status("Processing"), ["Cancel"], Reason.BROKEN_OFF), (None, ["Forget"], Reason.BROKEN_OFF),
    (status("Aborted"), ["Forget"], Reason.STOPPED_AT_DEVICE)])
def test_a_page_of_a_feeder_that_broke_off_ends_the_job(jobs, judged, did, reason):
    job = jobs.begin(feeder())
    jobs.deliver(job)
    jobs.call("page_broken", job, BROKEN)
    assert jobs.did == ["Retrieve", "Retrieve", "Discard", "Judge"]
    jobs.call("judged", job, judged)
    assert jobs.did == did
    assert job.end.reason is reason
    assert jobs.fetch(job) == 1


# CreateScanJob.

def test_another_ticket_is_tried_after_a_refused_one(jobs):
    job = jobs.submit(platen(tickets=(Ticket("a"), Ticket("b"))))
    for refusal in ("ClientErrorFormatNotSupported", "InvalidArgs"):
        jobs.call("not_created", job, Refusal(refusal))
    assert (job.ticket, jobs.did) == (1, ["Create", "Create"])
    assert (job.state, job.end.reason, job.end.fault) == ("Aborted", Reason.REFUSED, "InvalidArgs")


@pytest.mark.parametrize(("order", "refusal", "reason"), [
    (platen(), TEMPORARY, Reason.BUSY), (platen(), NOT_ACCEPTING, Reason.BUSY),
    (feeder(), NO_IMAGES, Reason.FEEDER_EMPTY), (platen(), NO_IMAGES, Reason.REFUSED),
    (platen(), UNREACHABLE, Reason.UNREACHABLE), (platen(), INTERNAL, Reason.REFUSED)])
def test_a_job_that_is_not_created(jobs, order, refusal, reason):
    job = jobs.submit(order)
    jobs.call("not_created", job, refusal)
    assert jobs.did == ["Create"]
    assert (job.state, job.end.reason, job.end.fault) == ("Aborted", reason, refusal.fault)


@pytest.mark.parametrize(("order", "refusal", "is_ready", "reason"), [
    (feeder(), NOT_ACCEPTING, True, Reason.FEEDER_EMPTY), (feeder(), NOT_ACCEPTING, False, Reason.BUSY),
    (feeder(), NOT_ACCEPTING, None, Reason.BUSY), (platen(), NOT_ACCEPTING, True, Reason.BUSY),
    (feeder(), TEMPORARY, True, Reason.BUSY), (feeder(), UNREACHABLE, True, Reason.UNREACHABLE)])
def test_an_idle_scanner_that_accepts_no_job_from_its_feeder_has_an_empty_one(jobs, order, refusal, is_ready, reason):
    job = jobs.submit(order)
    jobs.call("not_created", job, refusal, is_ready=is_ready)
    assert (job.end.reason, job.end.fault) == (reason, refusal.fault)


def test_a_job_with_patience_is_not_ended_by_an_idle_scanner_at_once(jobs):
    job = jobs.submit(feeder(patience=10.0))
    jobs.call("not_created", job, NOT_ACCEPTING, is_ready=True)
    assert job.end is None
    assert not jobs.engine.gives_up(job, NOT_ACCEPTING, 7.9)
    assert jobs.engine.gives_up(job, NOT_ACCEPTING, 8.0)
    assert jobs.engine.gives_up(job, INTERNAL, 0.0)


def test_a_busy_scanner_is_asked_again_for_a_job_that_has_waited(jobs):
    first, second = jobs.submit(platen()), jobs.submit(platen())
    jobs.call("not_created", first, TEMPORARY)
    assert (first.end.reason, jobs.did) == (Reason.BUSY, ["Create", "Create"])
    tries = 0
    while second.end is None:
        jobs.call("not_created", second, TEMPORARY)
        jobs.engine.touch(second, jobs.now)
        jobs.pass_time(2.0)
        tries += 1
    assert tries == BUSY_SECONDS / 2
    assert second.end.reason is Reason.BUSY


def test_a_create_that_may_have_been_carried_out_is_not_repeated(jobs):
    job = jobs.submit(platen(patience=100.0))
    jobs.call("not_created", job, Refusal("ServerErrorTemporaryError", unreachable=True, lost=True))
    assert (job.end.reason, jobs.did) == (Reason.UNREACHABLE, ["Create"])


# The queue.

def test_one_job_at_a_time_and_a_bounded_queue(jobs):
    job = jobs.begin(platen())
    waiting = [jobs.submit(platen()) for _ in range(MAX_WAITING)]
    assert jobs.submit(platen()) is None
    assert jobs.did == ["Retrieve"]
    assert {one.state for one in waiting} == {"Pending"}
    jobs.deliver(job)
    assert jobs.did == ["Forget", "Create"]
    assert waiting[0].phase is Phase.CREATING
    assert jobs.submit(platen()) is not None


def test_a_waiting_job_that_is_canceled_sends_nothing(jobs):
    jobs.begin(platen())
    job = jobs.submit(platen())
    jobs.call("cancel", job)
    assert jobs.did == ["Retrieve"]
    assert (job.state, job.end.reason, jobs.engine.waiting) == ("Canceled", Reason.CANCELED_BY_CLIENT, ())


# Cancelling.

def test_canceled_while_it_is_created(jobs):
    job = jobs.submit(platen())
    jobs.call("cancel", job)
    assert (job.state, jobs.did) == ("Canceled", ["Create"])
    jobs.call("created", job, CreatedJob("7", None))
    assert jobs.did == ["Cancel"]
    other = jobs.submit(platen())
    jobs.call("canceled", job)
    assert jobs.did == ["Forget", "Create"]
    assert other.phase is Phase.CREATING


def test_canceled_while_it_is_created_and_refused(jobs):
    job = jobs.submit(platen(tickets=(Ticket("a"), Ticket("b"))))
    jobs.call("cancel", job)
    jobs.call("not_created", job, Refusal("InvalidArgs"))
    assert (job.state, job.phase, jobs.did) == ("Canceled", Phase.OVER, ["Create"])


def test_canceled_before_the_first_page(jobs):
    job = jobs.submit(platen())
    jobs.call("created", job, CreatedJob("7", None))
    jobs.call("cancel", job)
    jobs.call("recorded", job)
    assert jobs.did == ["Create", "Record", "Cancel"]


def test_canceled_while_a_page_arrives(jobs):
    job = jobs.begin(feeder())
    jobs.deliver(job)
    jobs.call("received", job, 50)
    jobs.call("cancel", job)
    assert jobs.did == ["Retrieve", "Retrieve", "Discard", "Discard", "Cancel"]
    assert (job.state, job.pages, jobs.room.used, jobs.room.unfetched) == ("Canceled", [], 0, 0)
    jobs.call("cancel", job)
    jobs.call("page_broken", job, BROKEN)
    assert jobs.did == []
    jobs.call("canceled", job)
    assert jobs.did == ["Forget"]


@pytest.mark.parametrize("is_written", [True, False])
def test_after_the_last_page_was_transferred_nothing_is_sent(jobs, is_written):
    job = jobs.begin(platen())
    jobs.call("received", job, PAGE)
    jobs.do(jobs.engine.transferred(job, jobs.page))
    if is_written:
        jobs.call("page_ended", job, "image/jpeg")
    jobs.did  # noqa: B018
    jobs.call("cancel", job)
    assert sorted(jobs.did) == (["Discard"] if is_written else ["Discard", "Forget"])
    assert (job.state, job.phase) == ("Canceled", Phase.OVER)


def test_a_cancel_is_withdrawn_if_the_job_finishes_first(jobs):
    job = jobs.begin(platen())
    jobs.call("received", job, PAGE)
    page = jobs.page
    jobs.call("cancel", job)
    assert jobs.did == ["Retrieve", "Discard", "Cancel"]
    jobs.do(jobs.engine.transferred(job, page))
    assert jobs.did == ["Withdraw"]
    jobs.call("canceled", job)
    assert jobs.did == ["Forget"]


def test_canceled_while_it_is_judged(jobs):
    for judged, did in ((status("Processing"), ["Cancel"]), (status("Aborted"), ["Forget"]), (None, ["Forget"])):
        job = jobs.begin(feeder())
        jobs.call("page_refused", job, INTERNAL)
        jobs.call("cancel", job)
        jobs.did  # noqa: B018
        jobs.call("judged", job, judged)
        assert jobs.did == did
        assert job.state == "Canceled"
        jobs.call("canceled", job)
        jobs.did  # noqa: B018


def test_a_finished_job_can_be_deleted(jobs):
    job = jobs.begin(platen())
    jobs.deliver(job)
    jobs.fetch(job)
    jobs.did  # noqa: B018
    jobs.call("cancel", job)
    assert (jobs.did, job.state) == (["Discard"], "Completed")


# Pages and the client.

def test_a_page_is_sent_again_until_it_was_sent_whole(jobs):
    job = jobs.begin(feeder())
    for _ in range(2):
        jobs.deliver(job)
    for whole in (False, False, True):
        page, _ = jobs.engine.next_page(job, jobs.now)
        assert page.number == 1
        jobs.engine.sending(job, jobs.now)
        jobs.do(jobs.engine.sent(job, page, jobs.now, whole=whole))
    assert not page.gone
    assert jobs.fetch(job) == 2
    assert page.gone


@pytest.mark.parametrize("scanned", [0, 2])
def test_a_client_that_vanishes_while_the_scanner_works(jobs, scanned):
    job = jobs.begin(feeder())
    for _ in range(scanned):
        jobs.now += 10
        jobs.deliver(job)
    jobs.did  # noqa: B018
    jobs.pass_time(89.9)
    assert jobs.did == []
    jobs.pass_time(0.2)
    assert jobs.did == ["Discard"] * (scanned + 1) + ["Cancel"]
    assert (job.state, job.end.reason, jobs.room.used) == ("Aborted", Reason.CLIENT_GONE, 0)


def test_a_client_that_vanishes_after_the_scanner_has_finished(jobs):
    job = jobs.begin(platen())
    jobs.deliver(job)
    jobs.did  # noqa: B018
    jobs.pass_time(90.1)
    assert (jobs.did, job.state) == (["Discard"], "Aborted")


def test_a_client_that_receives_a_page_slowly_has_not_vanished(jobs):
    job = jobs.begin(platen())
    page = jobs.deliver(job)
    jobs.engine.next_page(job, jobs.now)
    jobs.engine.sending(job, jobs.now)
    jobs.pass_time(10000.0)
    assert job.state == "Processing"
    jobs.do(jobs.engine.sent(job, page, jobs.now, whole=True))
    assert job.state == "Completed"


def test_a_waiting_job_whose_client_vanishes(jobs):
    jobs.begin(platen(client_seconds=float("inf")))
    job = jobs.submit(platen())
    jobs.pass_time(90.1)
    assert jobs.did == ["Retrieve"]
    assert job.end.reason is Reason.CLIENT_GONE


def test_a_finished_job_stays_listed_for_a_while(jobs):
    job = jobs.begin(platen())
    jobs.deliver(job)
    jobs.fetch(job)
    jobs.pass_time(LISTED_SECONDS - 0.1)
    assert jobs.engine.get(job.id) is job
    jobs.pass_time(0.2)
    assert jobs.engine.all() == []
    assert jobs.engine.deadline() == float("inf")


def test_the_last_page_is_deleted_soon_after_it_was_sent(jobs):
    job = jobs.begin(platen())
    jobs.deliver(job)
    jobs.fetch(job)
    jobs.did  # noqa: B018
    assert jobs.engine.deadline() == SENT_SECONDS
    jobs.pass_time(SENT_SECONDS)
    assert (jobs.did, jobs.room.used, job.state, job.fetched) == (["Discard"], 0, "Completed", 1)
    assert jobs.engine.deadline() == LISTED_SECONDS
    assert jobs.fetch(job) is None


def test_a_page_that_was_not_sent_whole_stays(jobs):
    job = jobs.begin(platen(client_seconds=2 * SENT_SECONDS))
    page = jobs.deliver(job)
    jobs.engine.sending(job, jobs.now)
    jobs.do(jobs.engine.sent(job, page, jobs.now, whole=False))
    jobs.pass_time(SENT_SECONDS)
    assert (job.state, job.fetched, page.gone) == ("Processing", 0, False)
    assert jobs.fetch(job) == 1
    assert job.fetched == 1


def test_the_list_of_finished_jobs_is_bounded(jobs):
    for _ in range(MAX_LISTED + 5):
        jobs.call("not_created", jobs.submit(platen()), INTERNAL)
    assert len(jobs.engine.all()) == MAX_LISTED
    assert jobs.engine.all()[0].id == "job-6"


def test_a_job_without_client_waits_for_its_reader(jobs):
    job = jobs.begin(Order.without_client((Ticket("a"),), 1, "x", feeder=False, patience=5.0))
    jobs.deliver(job)
    jobs.pass_time(100000.0)
    assert jobs.fetch(job) == 1


# The spool.

def test_a_full_spool_stops_between_pages_and_goes_on(jobs):
    job = jobs.begin(feeder())
    for _ in range(2):
        jobs.deliver(job, 400)
    assert (jobs.did, job.phase) == (["Retrieve", "Retrieve"], Phase.FULL)
    jobs.fetch(job)
    jobs.fetch(job)
    assert jobs.did == ["Discard"]
    jobs.do(jobs.engine.room_freed(jobs.now))
    assert jobs.did == ["Retrieve"]


def test_room_is_shared_by_all_scanners():
    one = Jobs()
    other = Jobs(room=one.room)
    first, second = one.begin(feeder()), other.begin(feeder())
    one.deliver(first, 300)
    other.deliver(second, 600)
    assert [first.phase, second.phase] == [Phase.RETRIEVING, Phase.FULL]
    assert one.call("received", first, 101)
    one.did, other.did  # noqa: B018
    for jobs, job in ((one, first), (other, second)):
        assert jobs.fetch(job) == 1
        jobs.engine.next_page(job, 0.0)
        for waiting in (one, other):
            waiting.do(waiting.engine.room_freed(0.0))
    assert (one.did, other.did) == (["Resume"], ["Retrieve"])


def test_a_spool_that_stays_full_ends_the_job_and_keeps_its_pages(jobs):
    job = jobs.begin(feeder())
    for _ in range(2):
        jobs.deliver(job, 400)
    jobs.did  # noqa: B018
    jobs.pass_time(FULL_SECONDS)
    assert (jobs.did, job.end.reason) == (["Cancel"], Reason.SPOOL_FULL)
    assert [jobs.fetch(job) for _ in range(3)] == [1, 2, None]
    assert job.state == "Aborted"


def test_a_page_that_does_not_fit_now_is_held(jobs):
    job = jobs.begin(feeder())
    jobs.deliver(job, 400)
    jobs.call("received", job, 400)
    assert jobs.did == ["Retrieve", "Retrieve"]
    jobs.call("received", job, 400)
    assert (jobs.did, jobs.room.used) == (["Hold"], 800)
    jobs.fetch(job)
    jobs.page.size = 400
    jobs.engine.next_page(job, jobs.now)
    jobs.do(jobs.engine.room_freed(jobs.now))
    assert jobs.did == ["Resume"]
    assert jobs.call("received", job, 400) == []


def test_a_page_that_is_held_too_long_ends_the_job(jobs):
    job = jobs.begin(feeder())
    jobs.deliver(job, 600)
    jobs.call("received", job, 500)
    jobs.pass_time(FULL_SECONDS)
    assert jobs.did[-1] == "Cancel"
    assert job.end.reason is Reason.SPOOL_FULL


def test_the_last_page_is_held_too_long_after_the_scanner_has_finished(jobs):
    jobs.deliver(jobs.begin(platen()), 600)
    jobs.did  # noqa: B018
    job = jobs.begin(platen())
    jobs.call("received", job, 500)
    jobs.do(jobs.engine.transferred(job, jobs.page))
    jobs.pass_time(FULL_SECONDS)
    assert jobs.did == ["Retrieve", "Hold", "Discard", "Forget"]
    assert job.end.reason is Reason.SPOOL_FULL


def test_a_page_larger_than_the_spool_ends_the_job(jobs):
    job = jobs.begin(feeder())
    jobs.call("received", job, 900)
    jobs.call("received", job, 101)
    assert jobs.did == ["Retrieve", "Discard", "Cancel"]
    assert (job.end.reason, jobs.room.used) == (Reason.TOO_LARGE, 0)


def test_one_client_cannot_fill_the_spool():
    room = Room(1000, 500, group=lambda client: client.rpartition(".")[0])
    one, other = Jobs(room=room), Jobs(room=room)
    job = one.begin(feeder())
    one.deliver(job, 300)
    assert job.phase is Phase.FULL  # the next page, if it is as large, would be more than the client's share
    again = other.begin(platen(client="192.0.2.8"))  # counts as the same client
    other.call("received", again, 201)
    assert other.did == ["Retrieve", "Hold"]
    third = Jobs(room=room)
    another = third.begin(platen(client="198.51.100.7"))
    third.deliver(another, 500)
    assert (third.did, room.used) == (["Retrieve", "Forget"], 800)
    one.fetch(job)
    one.engine.next_page(job, one.now)
    assert (room.used, room.used_by("192.0.2.7")) == (500, 0)
    other.do(other.engine.room_freed(0.0))
    assert other.did == ["Resume"]


def test_jobs_that_wait_for_room_go_on_when_the_spool_gets_larger():
    jobs = Jobs(room=Room(1000, 500))
    jobs.room.waiting.append(lambda: jobs.do(jobs.engine.room_freed(jobs.now)))
    job = jobs.begin(feeder())
    jobs.deliver(job, 300)
    assert (job.phase, jobs.did) == (Phase.FULL, ["Retrieve"])
    jobs.room.resize(400, 200)
    assert jobs.did == []
    jobs.room.resize(2000, 1000)
    assert (job.phase, jobs.did) == (Phase.RETRIEVING, ["Retrieve"])


def test_a_full_spool_does_not_stop_a_scan_into_a_folder(monkeypatch):
    monkeypatch.setattr("wsdgateway.bridge.scanjobs.room.OWN_BYTES", 300)
    room = Room(1000)
    full, own = Jobs(room=room), Jobs(room=room)
    full.deliver(full.begin(feeder()), 1000)
    job = own.begin(feeder(client=""))
    own.deliver(job, 100)
    assert (room.used, room.unfetched, room.used_by("")) == (1000, 1000, 100)
    own.fetch(job)  # it is kept elsewhere now
    assert own.fetch(job) is None
    own.call("received", job, 300)
    assert own.did == ["Retrieve", "Retrieve", "Discard"]
    own.call("received", job, 1)
    assert (job.end.reason, room.used, room.used_by("")) == (Reason.TOO_LARGE, 1000, 0)


def test_a_page_larger_than_the_share_of_a_client_ends_the_job():
    jobs = Jobs(room=Room(1000, 500))
    job = jobs.begin(platen())
    jobs.call("received", job, 501)
    assert (job.end.reason, jobs.room.used) == (Reason.TOO_LARGE, 0)


def test_a_disk_error_ends_the_job(jobs):
    job = jobs.begin(feeder())
    jobs.deliver(job)
    jobs.call("spool_failed", job, "No space left on device")
    assert jobs.did == ["Retrieve", "Retrieve", "Discard", "Cancel"]
    assert (job.end.reason, job.end.text) == (Reason.SPOOL_FAILED, "No space left on device")
    assert jobs.fetch(job) == 1


def test_stopping_cancels_what_runs_and_deletes_the_pages(jobs):
    done = jobs.begin(platen())
    jobs.deliver(done)
    jobs.did  # noqa: B018
    running = jobs.begin(feeder())
    jobs.deliver(running)
    waiting = jobs.submit(platen())
    jobs.did  # noqa: B018
    jobs.do(jobs.engine.stop(jobs.now))
    assert sorted(jobs.did) == ["Cancel", "Discard", "Discard", "Discard"]
    assert {waiting.end.reason, running.end.reason, done.end.reason} == {Reason.STOPPING}
    jobs.call("canceled", running)
    assert jobs.did == ["Forget"]


def test_a_hand_over_cancels_what_runs_and_keeps_complete_pages_until_the_client_has_been_told(jobs):
    running = jobs.begin(feeder())
    jobs.deliver(running)
    waiting = jobs.submit(platen())
    jobs.did  # noqa: B018
    jobs.do(jobs.engine.end_all(jobs.now))
    assert jobs.did == ["Discard", "Cancel"]  # the page that is arriving
    assert {waiting.end.reason, running.end.reason} == {Reason.HANDED_OVER}
    assert jobs.engine.running is running
    jobs.call("canceled", running)
    assert jobs.fetch(running) == 1 and running.finished
    assert jobs.engine.running is running
    for job in (running, waiting):
        jobs.do(jobs.engine.told(job))
    assert jobs.engine.running is None
