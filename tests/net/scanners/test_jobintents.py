"""Tests of net.scanners.jobintents: what is written about a CreateScanJob, and when it must not be sent."""

import pytest
import pytest_twisted

from tests.bridge.bridges import FAILED, Bridge
from tests.messages import create_scan_job, created_job, fault
from tests.net.events.sharedevents import SharedEvents
from wsdgateway.bridge.access.quotas import JOBS_AT_ONCE, CountedJob, too_many_jobs
from wsdgateway.bridge.cluster.intents import Record, intent_key
from wsdgateway.bridge.decisions import Reply
from wsdgateway.net.scanners.jobintents import JobIntents
from wsdgateway.net.transport.errors import NOT_OWNED
from wsdgateway.soap.addressing import MAX_MESSAGE_ID

QUESTION = Bridge().question(create_scan_job())
KEY = intent_key(QUESTION)
CREATED = Reply(200, b"application/soap+xml", created_job("5"))
REFUSED = Reply(500, b"application/soap+xml", fault("wscn:ServerErrorNotAcceptingJobs"))


class Owner:
    """One owner after the other; each has its own intents, and its token is that of the server when it begins."""

    def __init__(self):
        self.shared = SharedEvents()
        self.is_alone, self.fenced = False, 0
        self.take_over()

    def take_over(self):
        self.shared.token += 1
        token = self.shared.token
        self.intents = JobIntents("s", self.shared, token=lambda: token, seconds=lambda: 0.0, most_jobs=lambda: 2,
                                  is_alone=lambda: self.is_alone, on_fenced=self._note_fenced)

    def _note_fenced(self):
        self.fenced += 1

    @property
    def kept(self):
        return self.shared.intents.get(KEY)


@pytest.fixture
def owner():
    return Owner()


@pytest_twisted.ensureDeferred
async def test_the_intent_is_written_before_and_the_reply_after(owner):
    assert await owner.intents.begin(QUESTION, None) is None
    assert owner.kept == Record(2)
    await owner.intents.conclude(QUESTION, CREATED, was_sent=True)
    assert owner.kept == Record(2, CREATED)
    owner.take_over()
    assert await owner.intents.begin(QUESTION, None) is CREATED


@pytest_twisted.ensureDeferred
async def test_a_job_that_an_earlier_owner_may_have_created_is_refused(owner):
    await owner.intents.begin(QUESTION, None)
    owner.take_over()
    refused = await owner.intents.begin(QUESTION, None)
    assert refused.fault.subcode == "wscn:ServerErrorTemporaryError"
    await owner.intents.conclude(QUESTION, FAILED, was_sent=False)
    assert owner.kept == Record(2)  # it is still not known


@pytest.mark.parametrize(("outcome", "was_sent", "kept"), [
    (FAILED, True, Record(2)), (FAILED, False, None), (REFUSED, True, None)])
@pytest_twisted.ensureDeferred
async def test_only_a_job_in_doubt_is_remembered(owner, outcome, was_sent, kept):
    await owner.intents.begin(QUESTION, None)
    await owner.intents.conclude(QUESTION, outcome, was_sent=was_sent)
    assert owner.kept == kept
    assert await owner.intents.begin(QUESTION, None) is None  # the same owner may send it again


@pytest_twisted.ensureDeferred
async def test_without_the_server_the_request_is_sent_all_the_same(owner):
    owner.shared.mode = "fails"
    assert await owner.intents.begin(QUESTION, None) is None
    await owner.intents.conclude(QUESTION, CREATED, was_sent=True)
    assert owner.shared.calls == 1  # the client does not wait for the server twice
    owner.shared.mode = "answers"
    await owner.intents.begin(QUESTION, None)
    owner.shared.mode = "fails"
    await owner.intents.conclude(QUESTION, CREATED, was_sent=True)
    assert owner.kept == Record(2)


@pytest_twisted.ensureDeferred
async def test_a_former_owner_sends_nothing(owner):
    former = owner.intents
    await former.begin(QUESTION, None)
    owner.take_over()
    assert (await former.begin(Bridge().question(create_scan_job("urn:uuid:2")), None)).fault is NOT_OWNED
    await former.conclude(QUESTION, CREATED, was_sent=True)
    assert owner.kept == Record(2)
    assert owner.fenced == 1


@pytest.mark.parametrize(("is_alone", "owner_at_server", "is_sent"), [
    (True, 0, True), (True, 7, False), (False, 0, False)])
@pytest_twisted.ensureDeferred
async def test_a_lease_that_has_run_out_at_the_server_is_not_needed_alone(owner, is_alone, owner_at_server, is_sent):
    owner.is_alone, owner.shared.token = is_alone, owner_at_server
    counted = job(1)
    for outcome in (await owner.intents.begin(QUESTION, counted), await owner.intents.count(counted)):
        assert (outcome is None) if is_sent else (outcome.fault is NOT_OWNED)
    assert counted.is_shared is is_sent
    assert owner.fenced == (0 if is_sent else 2)


@pytest_twisted.ensureDeferred
async def test_a_request_that_cannot_be_recognised_is_not_recorded(owner):
    question = Bridge().question(create_scan_job("x" * (MAX_MESSAGE_ID + 1)))
    assert await owner.intents.begin(question, None) is None
    await owner.intents.conclude(question, CREATED, was_sent=True)
    assert owner.shared.calls == 0


# Counting.


def job(number):
    return CountedJob("192.0.2.1", f"s {number}", 0.0)


@pytest_twisted.ensureDeferred
async def test_a_job_is_counted_with_its_intent(owner):
    first, second = job(1), job(2)
    assert await owner.intents.begin(QUESTION, first) is None
    assert (owner.shared.jobs, owner.shared.calls) == ({"192.0.2.1": {"s 1"}}, 1)
    assert await owner.intents.count(second) is None
    assert (owner.shared.jobs, owner.shared.calls) == ({"192.0.2.1": {"s 1", "s 2"}}, 2)
    assert first.is_shared and second.is_shared
    assert await owner.intents.count(None) is None
    assert owner.shared.calls == 2


@pytest_twisted.ensureDeferred
async def test_too_many_jobs_at_the_scanners_of_all_gateways(owner):
    owner.shared.jobs["192.0.2.1"] = {"another 1", "another 2"}
    unrecognised = Bridge().question(create_scan_job("x" * (MAX_MESSAGE_ID + 1)))
    for refusing in (owner.intents.begin(QUESTION, job(1)), owner.intents.begin(unrecognised, job(1)),
                     owner.intents.count(job(1))):
        refused = await refusing
        assert (refused.fault.reason, refused.limit) == (too_many_jobs(2).reason, JOBS_AT_ONCE)
    assert owner.kept is None and len(owner.shared.jobs["192.0.2.1"]) == 2
    refused_job = job(1)
    await owner.intents.count(refused_job)
    assert not refused_job.is_shared


@pytest_twisted.ensureDeferred
async def test_a_request_that_is_not_sent_is_not_counted(owner):
    await owner.intents.begin(QUESTION, None)
    await owner.intents.conclude(QUESTION, CREATED, was_sent=True)
    former, known = owner.intents, job(1)
    owner.take_over()
    assert await owner.intents.begin(QUESTION, known) is CREATED
    assert (await former.count(known)).fault is NOT_OWNED
    assert owner.shared.jobs == {} and not known.is_shared


@pytest_twisted.ensureDeferred
async def test_a_job_that_the_server_may_have_counted_is_shared(owner):
    owner.shared.mode = "fails"
    for beginning in (lambda one: owner.intents.begin(QUESTION, one), owner.intents.count):
        counted = job(1)
        assert await beginning(counted) is None
        assert counted.is_shared
