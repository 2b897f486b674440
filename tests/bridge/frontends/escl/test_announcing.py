"""Tests of bridge.frontends.escl.announcing: services, their names, and scanners that other hosts announce."""

from ipaddress import ip_address

import attrs
import pytest

from tests.bridge.frontends.escl.offers import DEFAULT, FULL, SMALL
from tests.bridge.frontends.escl.test_capabilities import WHO
from wsdgateway.bridge.dnssd.others import OtherScanner
from wsdgateway.bridge.frontends.escl.announcing import announced_by, distinct_names, secured, service_of
from wsdgateway.bridge.frontends.escl.capabilities import Identity, capabilities_of
from wsdgateway.dnssd.scannerservice import MAX_LABEL, USCANS, ScannerService, instance_name, txt_of

OWN = "4509A320-00a0-008f-00b6-002507510eca"
AT = frozenset({ip_address("192.0.2.20"), ip_address("fe80::20")})


def other(name="Own", uuid="", *addresses):
    return OtherScanner(name, "p.local", uuid, frozenset(map(ip_address, addresses)))


def test_everything_of_a_large_device():
    service = service_of(capabilities_of(WHO, FULL, DEFAULT), "front-desk", "Front Desk", 8400,
                         admin_url="http://{host}:5357/front-desk", note="Hall")
    assert service == ScannerService(
        "front-desk", "Front Desk", 8400, "Maker 1000", WHO.uuid,
        formats=("image/jpeg", "application/pdf", "image/tiff"), colors=("binary", "grayscale", "color"),
        sources=("platen", "adf"), duplex=True, admin_url="http://{host}:5357/front-desk",
        icon_url="http://{host}:8400/eSCL/icon.png", note="Hall")
    assert txt_of(service, "192.0.2.5") == (
        b"txtvers=1", b"rs=eSCL", b"ty=Maker 1000", b"uuid=" + WHO.uuid.encode(),
        b"pdl=application/pdf,image/jpeg,image/tiff", b"cs=binary,grayscale,color", b"is=platen,adf", b"duplex=T",
        b"adminurl=http://192.0.2.5:5357/front-desk", b"representation=http://192.0.2.5:8400/eSCL/icon.png",
        b"note=Hall")


def test_the_same_scanner_with_tls():
    plain = service_of(capabilities_of(WHO, FULL, DEFAULT), "a", "A", 8400, admin_url="http://{host}:5357/a")
    service = secured(plain, 8401)
    assert (service.type, service.port, service.name, service.uuid) == (USCANS, 8401, "A", WHO.uuid)
    changed = dict(zip(txt_of(plain, "192.0.2.5"), txt_of(service, "192.0.2.5"), strict=True))
    assert {one for one, other in changed.items() if one != other} == {
        b"representation=http://192.0.2.5:8400/eSCL/icon.png"}
    assert b"representation=https://192.0.2.5:8401/eSCL/icon.png" in changed.values()


def test_a_small_device():
    service = service_of(capabilities_of(Identity("", "Scan", "e"), SMALL, DEFAULT), "a", "A", 8400)
    assert (service.colors, service.sources, service.duplex) == (("color",), ("platen",), False)


@pytest.mark.parametrize(("names", "shown"), [
    ({"a": "Desk", "b": "Hall"}, {"a": "Desk", "b": "Hall"}),
    ({"a": "Desk", "b": "desk", "c": "Hall"}, {"a": "Desk (a)", "b": "desk (b)", "c": "Hall"}),
    ({"a": "Desk:1", "b": "Desk-1"}, {"a": "Desk-1 (a)", "b": "Desk-1 (b)"})])
def test_names_that_several_scanners_have(names, shown):
    assert distinct_names(names) == shown


def test_long_names_stay_distinct():
    names = distinct_names({"front-desk": "é" * 60, "copy-room": "é" * 60})
    shown = {instance_name(name) for name in names.values()}
    assert len(shown) == 2 and max(len(name.encode()) for name in shown) <= MAX_LABEL
    assert names["front-desk"].endswith("é (front-desk)")


@pytest.mark.parametrize(("one", "found"), [
    (other(uuid=OWN.lower()), True), (other("Own", "", "192.0.2.20", "192.0.2.21"), True),
    (other("Own", "abc", "fe80::20"), True), (other("Own", "abc", "192.0.2.21"), False), (other(), False)])
def test_the_scanner_itself_among_others(one, found):
    assert (announced_by([other("First", "x"), one], f"urn:uuid:{OWN}", AT) is one) is found
    assert announced_by([attrs.evolve(one, addresses=frozenset())], "", AT) is None
