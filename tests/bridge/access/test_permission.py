"""Who may do what, and how much: rules and quotas, without a gateway around them."""

from ipaddress import ip_network

import pytest

from wsdgateway.bridge.access.permission import Permission, Rule, not_allowed
from wsdgateway.bridge.access.quotas import (
    AFTER_IMAGE_SECONDS,
    FORGOTTEN_SECONDS,
    HANDSHAKE_COSTS,
    MAX_JOBS,
    Quotas,
    client_of,
)
from wsdgateway.config.reading import ConfigError, make_config
from wsdgateway.tokenbucket import MAX_SOURCES

LAN, VLAN = ip_network("198.51.100.0/24"), ip_network("2001:db8:1::/48")


@pytest.mark.parametrize(("client", "may"), [
    ("10.1.2.3", True), ("172.16.0.1", True), ("192.168.1.1", True), ("127.0.0.1", True), ("169.254.1.1", True),
    ("::1", True), ("fe80::1%eth0", True), ("fd00::1", True), ("::ffff:10.0.0.1", True), ("", True),
    ("8.8.8.8", False), ("2600::1", False), ("::ffff:8.8.8.8", False), ("100.64.0.1", False), ("2001:0:4136::2", False),
    ("198.18.0.1", False), ("2002:a00:1::1", False), ("2001:db8::1", True), ("192.0.2.7", True)])
def test_without_rules_private_networks_may_do_everything_and_others_nothing(client, may):
    assert Permission().allows(client, "front-desk", "CreateScanJob") is may


def test_the_first_rule_that_fits_decides():
    permission = Permission([
        Rule((LAN,), ("vault",), ("GetScannerElements",)), Rule((LAN,), ("vault",), deny=True), Rule((VLAN,)),
        Rule((), ("floor?-*",), deny=True)])
    asked = [("198.51.100.7", "vault", "GetScannerElements"), ("198.51.100.7", "vault", "CreateScanJob"),
             ("198.51.100.7", "front-desk", "CreateScanJob"), ("2001:db8:1::7", "floor3-a", "CreateScanJob"),
             ("10.0.0.1", "floor3-a", "Get"), ("10.0.0.1", "floor-a", "Get"), ("::ffff:198.51.100.7", "vault", "Get")]
    assert [permission.allows(*one) for one in asked] == [True, False, True, True, False, True, False]


def test_to_let_in_no_more_than_the_rules_say():
    permission = Permission([Rule((LAN,)), Rule(deny=True)])
    assert [permission.allows(client, "a", "Get") for client in ("198.51.100.7", "10.0.0.1", "")] == [
        True, False, False]


def test_other_rules_hold_at_once():
    permission = Permission()
    assert permission.allows("10.0.0.1", "a", "Get")
    permission.change([Rule(deny=True)])
    assert not permission.allows("10.0.0.1", "a", "Get")


def test_whoever_is_refused_is_told_so():
    fault = not_allowed("10.0.0.1", "front-desk", "CreateScanJob")
    assert (fault.code, fault.subcode, fault.status) == ("Sender", "gateway:NotAllowed", 403)
    assert all(word in fault.reason for word in ("10.0.0.1", "front-desk", "CreateScanJob", "[[allow]]"))


@pytest.mark.parametrize(("section", "key"), [
    ({"clients": []}, "clients"), ({"clients": "10.0.0.0/8"}, "clients"), ({"clients": ["x"]}, "clients"),
    ({"scanners": []}, "scanners"), ({"scanners": ["Front Desk"]}, "scanners"), ({"scanners": [1]}, "scanners"),
    ({"operations": []}, "operations"), ({"operations": ["Scan"]}, "operations"), ({"operations": "Get"}, "operations"),
    ({"operations": [["Get"]]}, "operations"), ({"deny": 1}, "deny"), ({"allow": True}, "allow")])
def test_what_is_wrong_with_a_rule_is_named(section, key):
    with pytest.raises(ConfigError) as caught:
        make_config({"listen": [{"endpoint": "tcp:1"}], "allow": [{}, section]}, "g.toml")
    [line] = caught.value.problems
    assert line.startswith(f"g.toml: [[allow]] 2 {key} = ")


def test_a_rule_as_it_is_written():
    config = make_config({"listen": [{"endpoint": "tcp:1"}], "allow": [
        {"clients": ["198.51.100.0/24"], "scanners": ["a*"], "operations": ["Get", "other"], "deny": True}]}, "g.toml")
    assert config.allow[0].rule == Rule((LAN,), ("a*",), ("Get", "other"), deny=True)


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
    ours = quotas()
    for number in range(MAX_SOURCES + 10):
        ours.admits_request(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(ours._rate._left) == MAX_SOURCES


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
    for number in range(MAX_JOBS + 5):
        ours.job_began("10.0.0.9", "c", str(number), 0.0)
    assert len(ours._jobs) == MAX_JOBS


def test_a_job_of_one_page_counts_no_longer_than_a_further_page_may_take():
    ours = quotas(jobs=1)
    ours.job_began("10.0.0.1", "a", "1", 0.0)
    ours.image_fetched("a", "1", 10.0)
    ours.image_fetched("a", "unknown", 10.0)
    assert not ours.admits_job("10.0.0.1", 10.0 + AFTER_IMAGE_SECONDS - 1)
    assert ours.admits_job("10.0.0.1", 10.0 + AFTER_IMAGE_SECONDS)
