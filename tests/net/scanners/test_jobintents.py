"""Tests of net.scanners.jobintents: what is written about a CreateScanJob, and when it must not be sent."""

import pytest
import pytest_twisted

from tests.bridge.bridges import FAILED, Bridge
from tests.messages import create_scan_job, created_job, fault
from tests.net.events.sharedevents import SharedEvents
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
        self.take_over()

    def take_over(self):
        self.shared.token += 1
        token = self.shared.token
        self.intents = JobIntents("s", self.shared, token=lambda: token, seconds=lambda: 0.0)

    @property
    def kept(self):
        return self.shared.intents.get(KEY)


@pytest.fixture
def owner():
    return Owner()


@pytest_twisted.ensureDeferred
async def test_the_intent_is_written_before_and_the_reply_after(owner):
    assert await owner.intents.begin(QUESTION) is None
    assert owner.kept == Record(2)
    await owner.intents.conclude(QUESTION, CREATED, was_sent=True)
    assert owner.kept == Record(2, CREATED)
    owner.take_over()
    assert await owner.intents.begin(QUESTION) is CREATED


@pytest_twisted.ensureDeferred
async def test_a_job_that_an_earlier_owner_may_have_created_is_refused(owner):
    await owner.intents.begin(QUESTION)
    owner.take_over()
    refused = await owner.intents.begin(QUESTION)
    assert refused.subcode == "wscn:ServerErrorTemporaryError"
    await owner.intents.conclude(QUESTION, FAILED, was_sent=False)
    assert owner.kept == Record(2)  # it is still not known


@pytest.mark.parametrize(("outcome", "was_sent", "kept"), [
    (FAILED, True, Record(2)), (FAILED, False, None), (REFUSED, True, None)])
@pytest_twisted.ensureDeferred
async def test_only_a_job_in_doubt_is_remembered(owner, outcome, was_sent, kept):
    await owner.intents.begin(QUESTION)
    await owner.intents.conclude(QUESTION, outcome, was_sent=was_sent)
    assert owner.kept == kept
    assert await owner.intents.begin(QUESTION) is None  # the same owner may send it again


@pytest_twisted.ensureDeferred
async def test_without_the_server_the_request_is_sent_all_the_same(owner):
    owner.shared.mode = "fails"
    assert await owner.intents.begin(QUESTION) is None
    await owner.intents.conclude(QUESTION, CREATED, was_sent=True)
    assert owner.shared.calls == 1  # the client does not wait for the server twice
    owner.shared.mode = "answers"
    await owner.intents.begin(QUESTION)
    owner.shared.mode = "fails"
    await owner.intents.conclude(QUESTION, CREATED, was_sent=True)
    assert owner.kept == Record(2)


@pytest_twisted.ensureDeferred
async def test_a_former_owner_sends_nothing(owner):
    former = owner.intents
    await former.begin(QUESTION)
    owner.take_over()
    assert await former.begin(Bridge().question(create_scan_job("urn:uuid:2"))) is NOT_OWNED
    await former.conclude(QUESTION, CREATED, was_sent=True)
    assert owner.kept == Record(2)


@pytest_twisted.ensureDeferred
async def test_a_request_that_cannot_be_recognised_is_not_recorded(owner):
    question = Bridge().question(create_scan_job("x" * (MAX_MESSAGE_ID + 1)))
    assert await owner.intents.begin(question) is None
    await owner.intents.conclude(question, CREATED, was_sent=True)
    assert owner.shared.calls == 0
