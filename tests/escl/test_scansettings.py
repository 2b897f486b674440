"""Tests of escl.scansettings: the settings that clients send, complete and minimal, in all their notations."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdgateway.escl.reading import MAX_BODY, PWG, SCAN, Unreadable
from wsdgateway.escl.scansettings import ScanRegion, ScanSettings

COMPLETE = ScanSettings(
    "2.63", "Document", ScanRegion(10, 20, 2480, 3508), True, "image/jpeg", "Text", "Feeder", 300, 300, "RGB24", True,
    5, 1000, 0, 900, 100)


def document(content, root="scan:ScanSettings", declared=f'xmlns:scan="{SCAN}" xmlns:pwg="{PWG}"'):
    return f'<?xml version="1.0" encoding="UTF-8"?><{root} {declared}>{content}</{root}>'.encode()


def test_complete_settings_are_written_strictly_and_read_back():
    written = COMPLETE.write()
    assert ScanSettings.read(written) == COMPLETE
    head = written.split(b"\n")[1].partition(b">")[0]
    assert head == f'<scan:ScanSettings xmlns:scan="{SCAN}" xmlns:pwg="{PWG}"'.encode()
    assert b"<pwg:ContentRegionUnits>escl:ThreeHundredthsOfInches</pwg:ContentRegionUnits>" in written
    assert b"<pwg:DocumentFormat>image/jpeg<" in written and b"<scan:DocumentFormatExt>image/jpeg<" in written


def test_minimal_settings_leave_everything_open():
    assert ScanSettings.read(document("<pwg:Version>2.0</pwg:Version>")) == ScanSettings("2.0")
    assert ScanSettings.read(document("")) == ScanSettings()


def test_another_default_namespace_redeclared_on_children():
    found = ScanSettings.read(document(
        f'<Version xmlns="{PWG}">2.6</Version><Intent>Photo</Intent><n0:ScanRegions xmlns:n0="{PWG}" '
        'n0:MustHonor=" TRUE "><n0:ScanRegion><n0:YOffset>4</n0:YOffset><n0:XOffset>3</n0:XOffset>'
        f'<n0:Height>2</n0:Height><n0:Width>1</n0:Width></n0:ScanRegion></n0:ScanRegions>'
        f'<InputSource xmlns="{PWG}">Platen</InputSource>',
        "ScanSettings", f'xmlns="{SCAN}"'))
    assert found == ScanSettings("2.6", "Photo", ScanRegion(3, 4, 1, 2), True, source="Platen")


@pytest.mark.parametrize(("content", "expected"), [
    ("<scan:InputSource> scan:Camera\n</scan:InputSource>", ScanSettings(source="Camera")),
    ("<pwg:DocumentFormat>image/png</pwg:DocumentFormat>", ScanSettings(format="image/png")),
    ("<pwg:DocumentFormat>image/png</pwg:DocumentFormat><scan:DocumentFormatExt>image/jpeg</scan:DocumentFormatExt>",
     ScanSettings(format="image/jpeg")),
    ("<scan:BrightnessSupport>700</scan:BrightnessSupport>", ScanSettings(brightness=700)),
    ("<scan:SharpenSupport>7</scan:SharpenSupport><scan:Sharpen>9</scan:Sharpen>", ScanSettings(sharpen=9)),
    ("<scan:CompressionFactor>-5</scan:CompressionFactor>", ScanSettings(compression=-5)),
    ("<scan:XResolution>300.0</scan:XResolution><scan:YResolution>1e3</scan:YResolution>",
     ScanSettings(x_resolution=300)),
    ("<scan:XResolution>-300</scan:XResolution><scan:YResolution>12345678901</scan:YResolution>", ScanSettings()),
    ("<scan:Duplex>True</scan:Duplex><scan:ColorMode/>", ScanSettings(duplex=True)),
    ("<scan:Duplex>maybe</scan:Duplex>", ScanSettings()),
    ("<scan:NumberOfPages>3</scan:NumberOfPages>", ScanSettings(pages=3)),
    ("<pwg:ScanRegions><pwg:ScanRegion/><pwg:ScanRegion><pwg:Width>5</pwg:Width></pwg:ScanRegion></pwg:ScanRegions>",
     ScanSettings(region=ScanRegion())),
    ("<pwg:ScanRegions/>", ScanSettings()),
    ("<pwg:ScanRegions MustHonor='1'><pwg:ScanRegion><pwg:Width>5</pwg:Width><pwg:ContentRegionUnits>x:Pixels"
     "</pwg:ContentRegionUnits></pwg:ScanRegion></pwg:ScanRegions>",
     ScanSettings(region=ScanRegion(width=5, units="Pixels"), must_honor=True)),
    ("<v:ColorMode xmlns:v='urn:v'>Vendor</v:ColorMode><scan:AutoCrop>true</scan:AutoCrop>", ScanSettings()),
    (f"<scan:ColorMode>{'x' * 257}</scan:ColorMode>", ScanSettings()),
    ("<scan:ColorMode><![CDATA[RGB24]]><!-- a --></scan:ColorMode>", ScanSettings(color_mode="RGB24"))])
def test_notations_of_clients(content, expected):
    assert ScanSettings.read(document(content)) == expected


@pytest.mark.parametrize(("data", "why"), [
    (b"", "not well-formed"), (b"jpeg", "not well-formed"), (b"<a/>", "must be ScanSettings"),
    (document("", "scan:ScannerStatus"), "must be ScanSettings"),
    (document("", "ScanSettings", ""), "must be ScanSettings"),
    (b'<!DOCTYPE a [<!ENTITY e "x">]>' + document("&e;"), "document type"),
    (b"<scan:ScanSettings/>", "not well-formed")])
def test_anything_else_is_unreadable(data, why):
    with pytest.raises(Unreadable, match=why) as raised:
        ScanSettings.read(data)
    assert not raised.value.too_large


def test_the_size_of_a_document_is_limited():
    padded = document("").ljust(MAX_BODY)
    assert ScanSettings.read(padded) == ScanSettings()
    with pytest.raises(Unreadable, match="65536 bytes") as raised:
        ScanSettings.read(padded + b" ")
    assert raised.value.too_large


NAMES = st.sampled_from(("pwg:Version", "scan:Intent", "pwg:ScanRegions", "pwg:ScanRegion", "pwg:Width",
                         "pwg:XOffset", "scan:XResolution", "scan:Duplex", "scan:BrightnessSupport",
                         "pwg:InputSource", "scan:Other"))
TEXTS = st.one_of(
    st.integers().map(str), st.sampled_from(("true", ":", "a:", ":b", "\u00b2", "\u0663", "-", "1.", "  ", "escl:x")),
    st.text("ab<&>:1\u00b2\u0663", max_size=8).map(
        lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")))
ELEMENTS = st.recursive(TEXTS, lambda inner: st.lists(st.tuples(NAMES, inner), max_size=4).map(
    lambda pairs: "".join(f"<{name}>{content}</{name}>" for name, content in pairs)), max_leaves=12)


@settings(derandomize=True, database=None, max_examples=400)
@given(ELEMENTS)
def test_whatever_can_be_parsed_reads_as_values_that_are_written_and_read_alike(content):
    found = ScanSettings.read(document(content))
    assert ScanSettings.read(found.write()) == found
