"""Several gateways while Redis is stopped, restarted with its data or without, or loads them."""

import time

import pytest

from tests.cluster.clients import Creation
from tests.cluster.lab import until
from tests.e2e.clusters import PANEL, no_ends_missed, read_until, reading, scan, scan_again

READS = 300


@pytest.mark.parametrize("how", ["kept", "empty", "loading"])
def test_redis_is_restarted(two, how):
    lab, owner, other, client = two
    made = [client.subscribe(one.name, lab.sinks)[0] for one in (owner, other)]
    panel = client.subscribe(other.name, lab.sinks, **PANEL)[0]
    job, _ = client.create(owner.name, Creation.new())
    before = time.monotonic()
    with reading(lab, owner, job.job_id) as answers:
        if how == "loading":
            lab.redis.restart_loading(keys=300, key_seconds=0.01)
            until(lambda: not lab.redis.is_loading())
        else:
            lab.redis.restart(keep=how == "kept")
        # The former owner gets its lease back in the grace, and everything is as before.
        until(lambda: _owned(lab) == [owner])
        assert client.retrieve(owner.name, job)[1].is_good
    assert not [one for one in answers if not one.is_good], "the owner's reads go on"
    until(lambda: client.renew(other.name, made[0]).is_good)
    for one in (*made, panel):
        assert client.renew(owner.name, one).is_good
    assert lab.recorder.count("Subscribe", before) == 0
    again = scan_again(client, [other, owner])
    read_until(client, other, again, "Completed")
    until(lambda: no_ends_missed(lab))
    # What the server lost has been written again: a takeover finds it.
    owner.kill()
    lab.address.holder = other
    read_until(client, other, again, "Completed")
    for one in (*made, panel):
        assert client.renew(other.name, one).is_good
    assert lab.recorder.count("Subscribe", before) == 0


def _owned(lab):
    """The gateways that own the scanner by the word of Redis, not alone."""
    return [one for one in lab.gateways if one.metric("wsdgateway_cluster_scanners", state="owning") > 0]


def test_the_owner_goes_on_while_redis_is_stopped(two):
    lab, owner, other, client = two
    made = client.subscribe(owner.name, lab.sinks)[0]
    job, _ = client.create(owner.name, Creation.new())
    lab.redis.stop()
    for gateway in (owner, other):  # a subscription that only the owner's memory had would be lost with it
        refused, reply = client.subscribe(gateway.name, lab.sinks)
        assert refused is None and reply.entry.fault == "EventSourceUnableToProcess"
    with reading(lab, owner, job.job_id) as answers:
        until(lambda: owner.metric("wsdgateway_cluster_scanners", state="alone") == 1)
        assert client.retrieve(owner.name, job)[1].is_good
        read_until(client, other, job.job_id, "Completed")
        assert client.renew(owner.name, made).is_good
        lab.redis.cont()
        until(lambda: _owned(lab) == [owner])
    assert not [one for one in answers if not one.is_good]
    assert client.subscribe(other.name, lab.sinks)[0] is not None
    until(lambda: no_ends_missed(lab))


def test_reads_of_a_status_issue_no_command(two):
    _, owner, other, client = two
    job_id, _ = scan(client, [owner])
    for gateway in (owner, other):
        client.read(gateway.name, job_id)
        before = gateway.metric("wsdgateway_redis_seconds_count")
        assert before > 0
        for _ in range(READS):
            assert client.read(gateway.name, job_id).status.state == "Completed"
        # One tick a second; a slow machine takes a few seconds for the reads.
        assert gateway.metric("wsdgateway_redis_seconds_count") - before < READS / 4
