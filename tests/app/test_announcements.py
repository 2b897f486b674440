"""Tests of app.announcements: a scanner as a service, and scanners that announce themselves."""

from ipaddress import ip_address

import pytest

from wsdgateway.app.announcements import announces_itself, service_of
from wsdgateway.bridge.dnssd.others import OtherScanner
from wsdgateway.escl.inputcaps import InputCaps
from wsdgateway.escl.scannercapabilities import Adf, ScannerCapabilities
from wsdgateway.escl.settingprofile import SettingProfile

UUID = "4509a320-00a0-008f-00b6-002507510eca"


def caps(*colors):
    return InputCaps(1, 2550, 1, 3510, (SettingProfile(colors, (), ("image/jpeg", "application/pdf"), ((300, 300),)),))


def test_what_a_scanner_has():
    found = service_of("a", "Front Desk", 8400, ScannerCapabilities(
        "Acme X", UUID, caps("RGB24", "Grayscale8"), Adf(caps("BlackAndWhite1"), caps("RGB24"))), "2nd floor")
    assert (found.scanner, found.name, found.port, found.make_and_model, found.uuid) == (
        "a", "Front Desk", 8400, "Acme X", UUID)
    assert set(found.colors) == {"color", "grayscale", "binary"}
    assert (found.sources, found.duplex, found.note) == (("platen", "adf"), True, "2nd floor")
    assert found.formats == ("image/jpeg", "application/pdf")
    assert found.admin_url == "http://{host}:8400"


def test_a_scanner_with_a_feeder_only():
    found = service_of("a", "A", 1, ScannerCapabilities("", None, None, Adf(caps("RGB24"))), "")
    assert (found.sources, found.duplex, found.make_and_model) == (("adf",), False, "Scanner")


@pytest.mark.parametrize(("uuid", "device", "itself"), [
    (f"urn:uuid:{UUID.upper()}", None, True), (UUID, None, True), (None, "http://198.51.100.20:80/scan", True),
    ("urn:uuid:1", "http://198.51.100.21/scan", False), (None, None, False), ("", "http://scanner.example/scan", False),
    (None, "http://[fe80::1%25eth0]:80/scan", True)])
def test_a_scanner_that_announces_itself(uuid, device, itself):
    others = frozenset((
        OtherScanner("X", "x.local", UUID, frozenset((ip_address("198.51.100.20"), ip_address("fe80::1")))),
        OtherScanner("Y", "y.local", "", frozenset())))
    assert announces_itself(uuid, device, others) is itself
