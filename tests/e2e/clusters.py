"""Requests of clients to several gateways, and what is expected after a takeover."""

import threading
from contextlib import contextmanager

from tests.cluster.checker import missed_ends
from tests.cluster.clients import Creation
from tests.cluster.lab import until

TAKEOVER_SECONDS = 30.0  # a takeover takes five; a loaded machine may take longer
PANEL = {"events": ("ScanAvailableEvent",), "destinations": (("ctx", "Scan to me"),)}


def read_until(client, gateway, job_id, state):
    """Reads the status of a job until it has that state, of which the scanner may tell a moment later."""
    def has_state():
        status = client.read(gateway.name, job_id).status
        return status is not None and status.state == state

    until(has_state, TAKEOVER_SECONDS)


def read_until_answered(client, gateway, job_id, seconds=TAKEOVER_SECONDS):
    """Reads the status of a job until it is answered."""
    return until(lambda: client.read(gateway.name, job_id).status, seconds)


def scan(client, gateways, **wanted):
    """Makes a job with one page, each request at the next gateway. Returns its JobId and the image's answer."""
    names = [one.name for one in gateways] * 2
    job, entry = client.create(names[0], Creation.new(**wanted))
    assert job is not None, entry
    body, entry = client.retrieve(names[1], job)
    assert entry.is_good, entry
    return job.job_id, body


def picture(answer):
    """Returns the image in an answer to RetrieveImage: the rest has a MessageID of its own."""
    assert answer.rstrip().endswith(b"--"), "the answer is complete"
    return answer[answer.index(b"\xff\xd8"):]


def scan_again(client, gateways):
    """Scans once more: a job that a failure left over may keep the scanner busy for a moment."""
    def attempt():
        job, _ = client.create(gateways[0].name, Creation.new())
        return job if job is not None and client.retrieve(gateways[-1].name, job)[1].is_good else None

    return until(attempt, pause=0.2).job_id


def no_ends_missed(lab):
    return not missed_ends(lab.history())


def check_takeover(lab, survivor, client, job, subscriptions):
    """Checks that the survivor serves the job and the subscriptions."""
    assert read_until_answered(client, survivor, job.job_id).state == "Pending"
    until(lambda: survivor.is_owner)
    assert survivor.metric("wsdgateway_takeovers_total", scanner="front-desk") >= 1
    assert client.retrieve(survivor.name, job)[1].is_good
    read_until(client, survivor, job.job_id, "Completed")
    for one in subscriptions:
        assert client.renew(survivor.name, one).is_good
    until(lambda: no_ends_missed(lab))


@contextmanager
def reading(lab, gateway, job_id):
    """Reads a job's status in the block all the time. Gives the list of the answers, which grows."""
    stop, answers = threading.Event(), []

    def read_and_read():
        client = lab.client("127.0.1.1")
        while not stop.is_set():
            answers.append(client.read(gateway.name, job_id))

    reader = threading.Thread(target=read_and_read)
    reader.start()
    try:
        until(lambda: len(answers) > 10)
        yield answers
    finally:
        stop.set()
        reader.join()
