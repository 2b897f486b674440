"""Tests of bridge.access.quotas: the limits on each client's use of the gateway."""

from ipaddress import ip_network

import pytest

from wsdgateway.bridge.access.quotas import (
    AFTER_IMAGE_SECONDS,
    FORGOTTEN_SECONDS,
    HANDSHAKE_COSTS,
    MAX_JOBS,
    Quotas,
    client_of,
)
from wsdgateway.tokenbucket import MAX_SOURCES


def quotas(**more):
    return Quotas(**{"requests": 10.0, "connections": 2, "jobs": 2, "unlimited": [ip_network("127.0.0.0/8")], **more})


def test_the_request_rate_of_each_client_is_limited():
    ours = quotas()
    assert [ours.admits_request("10.0.0.1", 0.0) for _ in range(12)].count(True) == 10
    assert ours.admits_request("10.0.0.2", 0.0)
    assert [ours.admits_request("10.0.0.1", 0.5) for _ in range(12)].count(True) == 5
    assert all(ours.admits_request("127.0.0.1", 0.0) for _ in range(100))
    assert all(ours.admits_request("", 0.0) for _ in range(100))


def test_a_handshake_costs_a_client_several_requests():
    ours = quotas(requests=200.0)
    assert [ours.admits_handshake("10.0.0.1", 0.0) for _ in range(40)].count(True) == 200 / HANDSHAKE_COSTS
    assert not ours.admits_request("10.0.0.1", 0.0)
    assert ours.admits_handshake("10.0.0.2", 0.0)
    assert not ours.admits_handshake("10.0.0.1", 0.02)
    assert ours.admits_handshake("10.0.0.1", 0.05)
    assert all(ours.admits_handshake("127.0.0.1", 0.0) for _ in range(100))


@pytest.mark.parametrize("requests", [1.0, 1.5, 2.0, 5.0, 10.0, 20.0])
def test_at_any_rate_one_request_is_left_after_a_handshake(requests):
    ours = quotas(requests=requests)
    assert ours.admits_handshake("10.0.0.1", 0.0)
    assert ours.admits_request("10.0.0.1", 0.0)


def test_ipv6_clients_are_counted_by_network():
    assert client_of("2001:db8::1") == client_of("2001:db8::2:3") != client_of("2001:db8:0:1::1")
    assert client_of("fe80::1%eth0") == client_of("fe80::2%eth1")
    assert client_of("::ffff:10.0.0.1") == client_of("10.0.0.1") == "10.0.0.1"


def test_the_number_of_remembered_clients_is_limited():
    ours = quotas(requests=1.0)
    clients = [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(MAX_SOURCES + 10)]
    assert all(ours.admits_request(client, 0.0) for client in clients)
    assert not any(ours.admits_request(client, 0.0) for client in clients[10:])
    assert all(ours.admits_request(client, 0.0) for client in clients[:10])  # these were forgotten


def test_the_number_of_concurrent_jobs_is_limited():
    ours = quotas()
    for number in (1, 2):
        assert ours.admits_job("10.0.0.1", 0.0)
        ours.job_began("10.0.0.1", "a", str(number), 0.0)
    assert not ours.admits_job("10.0.0.1", 1.0)
    assert ours.admits_job("10.0.0.2", 1.0)
    ours.job_ended("a", "1")
    assert ours.admits_job("10.0.0.1", 1.0)
    ours.job_ended("a", "never")


def test_jobs_without_news_stop_counting_after_a_time():
    ours = quotas()
    for number in (1, 2):
        ours.job_began("10.0.0.1", "a", str(number), 0.0)
    assert not ours.admits_job("10.0.0.1", FORGOTTEN_SECONDS - 1)
    assert ours.admits_job("10.0.0.1", FORGOTTEN_SECONDS)
    for number in range(MAX_JOBS - 1):
        ours.job_began("10.0.0.9", "c", str(number), 0.0)
    assert ours.admits_job("10.0.0.1", 0.0)  # one of its two jobs was forgotten, because there are too many to remember
    ours.job_began("10.0.0.1", "a", "3", 0.0)
    assert ours.admits_job("10.0.0.1", 0.0)  # and now the other one


def test_after_an_image_a_job_counts_until_the_next_page_is_overdue():
    ours = quotas(jobs=1)
    ours.job_began("10.0.0.1", "a", "1", 0.0)
    ours.image_fetched("a", "1", 10.0)
    ours.image_fetched("a", "unknown", 10.0)
    assert not ours.admits_job("10.0.0.1", 10.0 + AFTER_IMAGE_SECONDS - 1)
    assert ours.admits_job("10.0.0.1", 10.0 + AFTER_IMAGE_SECONDS)


class Shared:
    """Quotas whose jobs are counted for all gateways; `changes` has what is to be written."""

    def __init__(self, **more):
        self.quotas, self.changes = quotas(**more), []
        self.quotas.on_change = lambda job: self.changes.append((job.client, job.name, job.until))

    def begin(self, job_id, client="10.0.0.1"):
        self.quotas.job_began(client, "a", job_id, 0.0)
        job = self.quotas.to_share(client, "a", job_id)
        if job is not None:
            job.is_shared = True
        return job


def test_changes_of_shared_jobs_are_told():
    ours = Shared()
    ours.begin("1")
    ours.begin("2", "2001:db8::1")
    ours.quotas.image_fetched("a", "1", 10.0)
    ours.quotas.job_ended("a", "2")
    ours.quotas.job_ended("a", "2")
    assert ours.changes == [("10.0.0.1", "a 1", 10.0 + AFTER_IMAGE_SECONDS), ("2001:db8::/64", "a 2", 0.0)]


def test_a_job_that_is_not_shared_is_told_of_to_nobody():
    ours = Shared()
    ours.quotas.job_began("10.0.0.1", "a", "1", 0.0)
    assert ours.begin("2", "127.0.0.1") is None
    assert ours.quotas.to_share("10.0.0.1", "a", "unknown") is None
    for job_id in ("1", "2"):
        ours.quotas.image_fetched("a", job_id, 1.0)
        ours.quotas.job_ended("a", job_id)
    assert ours.changes == []


def test_a_job_whose_id_becomes_known_is_the_same_job():
    ours = Shared()
    sent = object()
    ours.begin(sent)
    ours.quotas.job_created("10.0.0.1", "a", sent, "7", 1.0)
    ours.quotas.job_ended("a", sent)
    assert ours.changes == []
    ours.quotas.job_ended("a", "7")
    assert ours.changes == [("10.0.0.1", "a 1", 0.0)]
    ours.quotas.job_created("10.0.0.1", "a", object(), "8", 1.0)  # it was forgotten meanwhile
    assert ours.quotas.to_share("10.0.0.1", "a", "8") is not None


def test_a_job_whose_id_is_given_again_has_ended():
    ours = Shared()
    ours.begin("7")
    sent = object()
    ours.begin(sent)
    ours.quotas.job_created("10.0.0.1", "a", sent, "7", 1.0)
    assert ours.changes == [("10.0.0.1", "a 1", 0.0)]
    ours.quotas.job_ended("a", "7")
    assert ours.changes[1:] == [("10.0.0.1", "a 2", 0.0)]
