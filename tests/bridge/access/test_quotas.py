"""Quotas: how much one client may ask of the gateway."""

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


def test_requests_of_one_client_are_bounded_and_come_back_with_time():
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
def test_however_few_requests_a_client_has_one_is_left_after_a_handshake(requests):
    ours = quotas(requests=requests)
    assert ours.admits_handshake("10.0.0.1", 0.0)
    assert ours.admits_request("10.0.0.1", 0.0)


def test_an_ipv6_client_is_its_network():
    assert client_of("2001:db8::1") == client_of("2001:db8::2:3") != client_of("2001:db8:0:1::1")
    assert client_of("fe80::1%eth0") == client_of("fe80::2%eth1")
    assert client_of("::ffff:10.0.0.1") == client_of("10.0.0.1") == "10.0.0.1"


def test_more_clients_than_are_remembered_are_bounded():
    ours = quotas(requests=1.0)
    clients = [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(MAX_SOURCES + 10)]
    assert all(ours.admits_request(client, 0.0) for client in clients)
    assert not any(ours.admits_request(client, 0.0) for client in clients[10:])
    assert all(ours.admits_request(client, 0.0) for client in clients[:10])  # these were forgotten


def test_jobs_at_once():
    ours = quotas()
    for number in (1, 2):
        assert ours.admits_job("10.0.0.1", 0.0)
        ours.job_began("10.0.0.1", "a", str(number), 0.0)
    assert not ours.admits_job("10.0.0.1", 1.0)
    assert ours.admits_job("10.0.0.2", 1.0)
    ours.job_ended("a", "1")
    assert ours.admits_job("10.0.0.1", 1.0)
    ours.job_ended("a", "never")


def test_jobs_that_nobody_hears_of_any_more_do_not_count_for_ever():
    ours = quotas()
    for number in (1, 2):
        ours.job_began("10.0.0.1", "a", str(number), 0.0)
    assert not ours.admits_job("10.0.0.1", FORGOTTEN_SECONDS - 1)
    assert ours.admits_job("10.0.0.1", FORGOTTEN_SECONDS)
    for number in range(MAX_JOBS - 1):
        ours.job_began("10.0.0.9", "c", str(number), 0.0)
    assert ours.admits_job("10.0.0.1", 0.0)  # one of its two was forgotten, for there are more than are remembered
    ours.job_began("10.0.0.1", "a", "3", 0.0)
    assert ours.admits_job("10.0.0.1", 0.0)  # and now the other one


def test_a_job_of_one_page_counts_no_longer_than_a_further_page_may_take():
    ours = quotas(jobs=1)
    ours.job_began("10.0.0.1", "a", "1", 0.0)
    ours.image_fetched("a", "1", 10.0)
    ours.image_fetched("a", "unknown", 10.0)
    assert not ours.admits_job("10.0.0.1", 10.0 + AFTER_IMAGE_SECONDS - 1)
    assert ours.admits_job("10.0.0.1", 10.0 + AFTER_IMAGE_SECONDS)
