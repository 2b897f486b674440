"""Tests of dnssd.scannerservice: instance names, and each key of the TXT record."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdgateway.dnssd.scannerservice import (
    MAX_LABEL,
    MAX_STRING,
    MAX_TXT,
    USCAN,
    USCANS,
    ScannerService,
    instance_name,
    read_txt,
    txt_data,
    txt_of,
)

UUID = "4509A320-00A0-008F-00B6-002507510ECA"
SERVICE = ScannerService(
    scanner="front-desk", name="Front Desk", port=8400, make_and_model="Canon MF410", uuid=f"urn:uuid:{UUID}",
    formats=("image/jpeg", "image/png", "application/pdf", "image/png"), colors=("color", "binary"),
    sources=("adf", "platen"), duplex=True, admin_url="http://{host}:8400/", icon_url="http://{host}:8400/icon.png",
    note="Hall")


def test_every_key_in_its_place():
    assert txt_of(SERVICE, "192.0.2.5") == (
        b"txtvers=1", b"rs=eSCL", b"ty=Canon MF410", b"uuid=4509a320-00a0-008f-00b6-002507510eca",
        b"pdl=application/pdf,image/jpeg,image/png", b"cs=binary,color", b"is=platen,adf", b"duplex=T",
        b"adminurl=http://192.0.2.5:8400/", b"representation=http://192.0.2.5:8400/icon.png", b"note=Hall")


def test_a_scanner_of_which_little_is_known():
    service = ScannerService("a", "A", 8400, "A", "u")
    assert txt_of(service, "[fe80::5]") == (
        b"txtvers=1", b"rs=eSCL", b"ty=A", b"uuid=u", b"pdl=application/pdf,image/jpeg", b"duplex=F")


@pytest.mark.parametrize(("change", "key", "value"), [
    ({"make_and_model": "ü" * 200}, "ty", "ü" * 126), ({"note": "x" * 300}, "note", "x" * 250),
    ({"admin_url": "http://{host}/" + "x" * 250}, "adminurl", None),
    ({"admin_url": "http://{host}:8400/"}, "adminurl", "http://[fd00::5]:8400/"),
    ({"colors": ("other",)}, "cs", None), ({"duplex": False}, "duplex", "F")])
def test_values(change, key, value):
    assert read_txt(txt_data(txt_of(attrs.evolve(SERVICE, **change), "[fd00::5]"))).get(key) == value


def test_types():
    assert SERVICE.type == USCAN
    assert attrs.evolve(SERVICE, secure=True).type == USCANS


@given(text=st.text(max_size=400), url=st.text(max_size=400))
def test_a_record_always_fits(text, url):
    service = attrs.evolve(SERVICE, make_and_model=text, note=text, admin_url=url, icon_url=url, formats=(text,) * 9)
    strings = txt_of(service, "192.0.2.5")
    assert all(len(one) <= MAX_STRING for one in strings)
    assert sum(len(one) + 1 for one in strings) <= MAX_TXT
    assert [one.partition(b"=")[0] for one in strings][:2] == [b"txtvers", b"rs"]


@pytest.mark.parametrize(("name", "number", "expected"), [
    ("Front Desk", 1, "Front Desk"), ("Front Desk", 2, "Front Desk (2)"), ("EPSON: WF-C5.2", 1, "EPSON- WF-C5.2"),
    ("  a\n\tb\0 ", 1, "a b"), ("", 1, "Scanner"), ("\0", 3, "Scanner (3)"), ("Bu\u0308ro", 1, "B\u00fcro"),
    ("x" * 80, 1, "x" * 63), ("x" * 80, 12, "x" * 58 + " (12)"), ("€" * 30, 1, "€" * 21),
    ("€" * 30, 2, "€" * 19 + " (2)")])
def test_instance_names(name, number, expected):
    assert instance_name(name, number) == expected


@given(name=st.text(max_size=100), number=st.integers(1, 1000))
def test_an_instance_name_is_a_label(name, number):
    label = instance_name(name, number).encode()
    assert 0 < len(label) <= MAX_LABEL


@pytest.mark.parametrize(("data", "expected"), [
    (b"", {}), (b"\0", {}), (b"\x04UUID", {"uuid": ""}), (b"\x06uuid=A\x06UUID=B", {"uuid": "A"}),
    (b"\x20uuid=cut", {"uuid": "cut"}), (b"\x02=x", {}), (b"\x03a=\xff", {"a": "�"})])
def test_reading(data, expected):
    assert read_txt(data) == expected
