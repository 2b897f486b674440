"""Tests of discovery.matching: the types and scopes of a Probe against those of a target service."""

import pytest

from wsdgateway.discovery.matching import UnknownRule, check_rule, matches
from wsdgateway.discovery.versions import (
    WS_2005_04,
    WS_2008_09,
    WS_2009_01,
)
from wsdgateway.soap.namespaces import WSCN, WSDP

OFFERED = {"offered_types": ((WSDP, "Device"), (WSCN, "ScanDeviceType")),
           "offered_scopes": ("http://a.org/floor/3", "ldap:///ou=eng,o=acme,c=us",
                              "urn:uuid:37F86D35-E6AC-4241-964F-1D9AE46FB366")}
D = WS_2005_04.uri


@pytest.mark.parametrize(("types", "scopes", "rule", "found"), [
    ((), (), None, True), (((WSDP, "Device"),), (), None, True),
    (((WSDP, "Device"), (WSCN, "ScanDeviceType")), (), None, True), (((WSDP, "Printer"),), (), None, False),
    (((WSCN, "Device"),), (), None, False),
    ((), ("http://a.org/floor",), None, True), ((), ("http://A.ORG/floor/3",), None, True),
    ((), ("http://a.org/floo",), None, False), ((), ("http://a.org/floor/3/x",), None, False),
    ((), ("http://a.org/FLOOR",), None, False), ((), ("https://a.org/floor",), None, False),
    ((), ("http://a.org/x/../floor",), None, False), ((), ("http://[bad",), None, False),
    ((), ("http://a.org/floor", "http://b.org"), None, False),
    ((), ("http://a.org/%66loor",), f"{D}/rfc2396", True), ((), ("http://a.org",), f"{WS_2009_01.uri}/rfc3986", True),
    ((), ("urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366",), f"{D}/uuid", True), ((), ("x",), f"{D}/uuid", False),
    ((), ("http://a.org/floor/3",), f" {D}/strcmp0 ", True),
    ((), ("http://a.org/floor",), f"{D}/strcmp0", False),
    ((), ("ldap:///o=Acme,c=us",), f"{D}/ldap", True), ((), ("ldap:///ou=eng",), f"{D}/ldap", False),
    ((), ("ldap:///ou=eng,o=acme,c=us",), f"{D}/ldap", True),
    ((), ("http://[x",), f"{D}/ldap", False), ((), (), f"{WS_2009_01.uri}/none", False)])
def test_matching(types, scopes, rule, found):
    assert matches(types, scopes, rule, **OFFERED) is found


def test_the_rule_for_services_without_scopes():
    for version in (WS_2008_09, WS_2009_01):
        assert matches((), (), f"{version.uri}/none", offered_types=(), offered_scopes=())
        assert not matches(((WSDP, "X"),), (), f"{version.uri}/none", offered_types=(), offered_scopes=())
        check_rule(f"{version.uri}/none")


def test_services_without_scopes_have_the_default_scope():
    for scope in (f"{D}/adhoc", f"{WS_2009_01.uri}/DefaultScope"):
        assert matches((), (scope,), None, offered_types=(), offered_scopes=())
        assert not matches((), (scope,), None, **OFFERED)


@pytest.mark.parametrize("rule", ["urn:x", f"{D}/none", f"{D}/soundex", ""])
def test_unknown_rules(rule):
    with pytest.raises(UnknownRule):
        matches((), ("x",), rule, **OFFERED)
    with pytest.raises(UnknownRule):
        check_rule(rule)
