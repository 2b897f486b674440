"""Tests of escl.scannercapabilities, escl.inputcaps and escl.settingprofile: what a scanner offers."""

from itertools import pairwise

import attrs
import pytest

from tests.escl.test_scansettings import document
from wsdgateway.escl.inputcaps import InputCaps
from wsdgateway.escl.reading import PWG, SCAN, Unreadable
from wsdgateway.escl.scannercapabilities import Adf, ScannerCapabilities, Support
from wsdgateway.escl.settingprofile import SettingProfile

PROFILE = SettingProfile(("BlackAndWhite1", "RGB24"), ("Text", "Photo"), ("image/jpeg", "application/pdf"),
                         ((100, 100), (300, 300)), ("sRGB",))
CAPS = InputCaps(30, 2550, 30, 3510, (PROFILE,), ("Document", "Photo"), (600, 1200))
COMPLETE = ScannerCapabilities(
    "Maker Model <1>", "0f1e", CAPS, Adf(CAPS, attrs.evolve(CAPS, optical=None), 50, ("Duplex",)), "2.63", "S/N",
    "Maker", "http://192.0.2.1/a?b&c", "http://192.0.2.1/icon.png", Support(0, 2000, 1000), Support(0, 80, 5),
    Support(0, 2000, 1000), Support(0, 200, 100))


def in_order(text, *names):
    places = [text.index(f"<{name}>") for name in names]
    return all(first < second for first, second in pairwise(places))


def test_written_capabilities_are_read_back():
    assert ScannerCapabilities.read(COMPLETE.write()) == COMPLETE
    assert COMPLETE.sources == (CAPS, CAPS, attrs.evolve(CAPS, optical=None))
    assert ScannerCapabilities.read(ScannerCapabilities("m").write()) == ScannerCapabilities("m")


def test_written_capabilities_have_the_prefixes_and_the_order_of_devices():
    text = COMPLETE.write().decode()
    assert text.split("\n")[1].startswith(
        f'<scan:ScannerCapabilities xmlns:scan="{SCAN}" xmlns:pwg="{PWG}"><pwg:Version>2.63</pwg:Version>')
    assert in_order(text, "pwg:Version", "pwg:MakeAndModel", "pwg:SerialNumber", "scan:Manufacturer", "scan:UUID",
                    "scan:AdminURI", "scan:IconURI", "scan:Platen", "scan:Adf", "scan:BrightnessSupport",
                    "scan:CompressionFactorSupport", "scan:ContrastSupport", "scan:SharpenSupport")
    assert "<scan:Platen><scan:PlatenInputCaps>" in text
    assert in_order(text, "scan:AdfSimplexInputCaps", "scan:AdfDuplexInputCaps", "scan:FeederCapacity",
                    "scan:AdfOptions")
    assert in_order(text, "scan:MinWidth", "scan:MaxWidth", "scan:MinHeight", "scan:MaxHeight", "scan:MaxXOffset",
                    "scan:MaxYOffset", "scan:MaxPhysicalWidth", "scan:MaxPhysicalHeight", "scan:MaxScanRegions",
                    "scan:SettingProfiles", "scan:SupportedIntents", "scan:MaxOpticalXResolution",
                    "scan:MaxOpticalYResolution")
    assert in_order(text, "scan:ColorModes", "scan:ContentTypes", "scan:DocumentFormats", "pwg:DocumentFormat",
                    "scan:DocumentFormatExt", "scan:SupportedResolutions", "scan:ColorSpaces")
    assert text.count("<scan:SettingProfile>") == 3
    assert ("<scan:BrightnessSupport><scan:Min>0</scan:Min><scan:Max>2000</scan:Max><scan:Normal>1000</scan:Normal>"
            "<scan:Step>1</scan:Step></scan:BrightnessSupport>") in text
    assert "Range" not in text and " ref=" not in text


@pytest.mark.parametrize("profiles", [
    '<scan:SettingProfiles><scan:SettingProfile ref="p1"/></scan:SettingProfiles>', ""])
def test_a_profile_that_all_sources_have_in_common(profiles):
    found = ScannerCapabilities.read(document(
        '<scan:SettingProfiles><scan:SettingProfile name="p1"><scan:ColorModes><scan:ColorMode>RGB24</scan:ColorMode>'
        "</scan:ColorModes></scan:SettingProfile></scan:SettingProfiles><scan:Platen><scan:PlatenInputCaps>"
        f"<scan:MaxWidth>2550</scan:MaxWidth><scan:MaxHeight>3508</scan:MaxHeight>{profiles}</scan:PlatenInputCaps>"
        "</scan:Platen>", "scan:ScannerCapabilities"))
    assert found.platen == InputCaps(1, 2550, 1, 3508, (SettingProfile(("RGB24",)),))


@pytest.mark.parametrize(("content", "expected"), [
    ("", ScannerCapabilities("")),
    ("<scan:UUID>urn:uuid:ABC</scan:UUID>", ScannerCapabilities("", "abc")),
    ("<scan:Platen/><scan:Adf/>", ScannerCapabilities("")),
    ("<scan:Platen><scan:PlatenInputCaps><scan:MaxWidth>0</scan:MaxWidth></scan:PlatenInputCaps></scan:Platen>",
     ScannerCapabilities("")),
    ("<scan:ContrastSupport><scan:Min>5</scan:Min><scan:Max>1</scan:Max></scan:ContrastSupport>",
     ScannerCapabilities("")),
    ("<scan:ContrastSupport><scan:Min>-9</scan:Min><scan:Max>9</scan:Max></scan:ContrastSupport>",
     ScannerCapabilities("", contrast=Support(-9, 9, -9)))])
def test_missing_and_contradictory_capabilities_are_left_out(content, expected):
    assert ScannerCapabilities.read(document(content, "scan:ScannerCapabilities")) == expected


def test_intents_of_both_notations_and_resolutions_of_both_directions():
    found = ScannerCapabilities.read(document(
        "<scan:Platen><scan:PlatenInputCaps><scan:MaxHeight>1</scan:MaxHeight><scan:MaxWidth>1</scan:MaxWidth>"
        "<scan:SupportedIntents><scan:SupportedIntent>Photo</scan:SupportedIntent></scan:SupportedIntents>"
        "<scan:SettingProfiles><scan:SettingProfile><scan:SupportedResolutions><scan:DiscreteResolutions>"
        "<scan:DiscreteResolution><scan:XResolution>300</scan:XResolution></scan:DiscreteResolution>"
        "<scan:DiscreteResolution><scan:YResolution>600</scan:YResolution><scan:XResolution>300</scan:XResolution>"
        "</scan:DiscreteResolution></scan:DiscreteResolutions></scan:SupportedResolutions></scan:SettingProfile>"
        "</scan:SettingProfiles></scan:PlatenInputCaps></scan:Platen>", "scan:ScannerCapabilities"))
    assert found.platen.intents == ("Photo",)
    assert found.platen.profiles[0].resolutions == ((300, 600),)


def test_lists_are_bounded():
    modes = "".join(f"<scan:ColorMode>m{number}</scan:ColorMode>" for number in range(1000))
    found = ScannerCapabilities.read(document(
        "<scan:Platen><scan:PlatenInputCaps><scan:MaxHeight>1</scan:MaxHeight><scan:MaxWidth>1</scan:MaxWidth>"
        f"<scan:SettingProfiles><scan:SettingProfile><scan:ColorModes>{modes}</scan:ColorModes></scan:SettingProfile>"
        "</scan:SettingProfiles></scan:PlatenInputCaps></scan:Platen>", "scan:ScannerCapabilities"))
    assert len(found.platen.profiles[0].color_modes) == 256


def test_another_document_is_unreadable():
    with pytest.raises(Unreadable, match="must be ScannerCapabilities"):
        ScannerCapabilities.read(document(""))


def test_values_are_clipped_to_the_range():
    assert [Support(0, 10, 5).clipped(value) for value in (-1, 5, 11)] == [0, 5, 10]
