"""Tests of bridge.access.permission: the rules that decide which clients may use which operations."""

from ipaddress import ip_network

import pytest

from wsdgateway.bridge.access.permission import Permission, Rule, not_allowed
from wsdgateway.config.reading import ConfigError, make_config

LAN, VLAN = ip_network("198.51.100.0/24"), ip_network("2001:db8:1::/48")


@pytest.mark.parametrize(("client", "may"), [
    ("10.1.2.3", True), ("172.16.0.1", True), ("192.168.1.1", True), ("127.0.0.1", True), ("169.254.1.1", True),
    ("::1", True), ("fe80::1%eth0", True), ("fd00::1", True), ("::ffff:10.0.0.1", True), ("", True),
    ("8.8.8.8", False), ("2600::1", False), ("::ffff:8.8.8.8", False), ("100.64.0.1", False), ("2001:0:4136::2", False),
    ("198.18.0.1", False), ("2002:a00:1::1", False), ("2001:db8::1", True), ("192.0.2.7", True)])
def test_without_rules_private_networks_may_do_everything_and_others_nothing(client, may):
    assert Permission().allows(client, "front-desk", "CreateScanJob") is may


def test_the_first_matching_rule_decides():
    permission = Permission([
        Rule((LAN,), ("vault",), ("GetScannerElements",)), Rule((LAN,), ("vault",), deny=True), Rule((VLAN,)),
        Rule((), ("floor?-*",), deny=True)])
    asked = [("198.51.100.7", "vault", "GetScannerElements"), ("198.51.100.7", "vault", "CreateScanJob"),
             ("198.51.100.7", "front-desk", "CreateScanJob"), ("2001:db8:1::7", "floor3-a", "CreateScanJob"),
             ("10.0.0.1", "floor3-a", "Get"), ("10.0.0.1", "floor-a", "Get"), ("::ffff:198.51.100.7", "vault", "Get")]
    assert [permission.allows(*one) for one in asked] == [True, False, True, True, False, True, False]


def test_a_final_deny_rule_refuses_all_other_clients():
    permission = Permission([Rule((LAN,)), Rule(deny=True)])
    assert [permission.allows(client, "a", "Get") for client in ("198.51.100.7", "10.0.0.1", "")] == [
        True, False, False]


def test_changed_rules_take_effect_at_once():
    permission = Permission()
    assert permission.allows("10.0.0.1", "a", "Get")
    permission.change([Rule(deny=True)])
    assert not permission.allows("10.0.0.1", "a", "Get")


def test_the_fault_names_client_scanner_operation_and_setting():
    fault = not_allowed("10.0.0.1", "front-desk", "CreateScanJob")
    assert (fault.code, fault.subcode, fault.status) == ("Sender", "gateway:NotAllowed", 403)
    assert all(word in fault.reason for word in ("10.0.0.1", "front-desk", "CreateScanJob", "[[allow]]"))


@pytest.mark.parametrize(("section", "key"), [
    ({"clients": []}, "clients"), ({"clients": "10.0.0.0/8"}, "clients"), ({"clients": ["x"]}, "clients"),
    ({"scanners": []}, "scanners"), ({"scanners": ["Front Desk"]}, "scanners"), ({"scanners": [1]}, "scanners"),
    ({"operations": []}, "operations"), ({"operations": ["Scan"]}, "operations"), ({"operations": "Get"}, "operations"),
    ({"operations": [["Get"]]}, "operations"), ({"deny": 1}, "deny")])
def test_an_error_in_a_rule_names_its_key(section, key):
    with pytest.raises(ConfigError) as caught:
        make_config({"listen": [{"endpoint": "tcp:1"}], "allow": [{}, section]}, "g.toml")
    [line] = caught.value.problems
    assert line.startswith(f"g.toml: [[allow]] 2 {key} = ")


def test_a_rule_is_read_from_the_configuration():
    config = make_config({"listen": [{"endpoint": "tcp:1"}], "allow": [
        {"clients": ["198.51.100.0/24"], "scanners": ["a*"], "operations": ["Get", "other"], "deny": True}]}, "g.toml")
    assert config.allow[0].rule == Rule((LAN,), ("a*",), ("Get", "other"), deny=True)
