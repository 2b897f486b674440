"""Tests of bridge.frontends.escl.capabilities: what eSCL clients see of a scanner's configuration."""

import attrs
import pytest

from tests.bridge.frontends.escl.offers import COLORS, DEFAULT, FEEDER, FULL, GLASS, SMALL
from wsdgateway.bridge.frontends.escl.capabilities import Identity, capabilities_of
from wsdgateway.escl.inputcaps import InputCaps
from wsdgateway.escl.scannercapabilities import Adf, ScannerCapabilities, Support
from wsdgateway.escl.settingprofile import SettingProfile
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.scannerconfiguration import ADF, ADF_DUPLEX, PLATEN, ScannerConfiguration, SourceOffer

WHO = Identity("Maker", "Maker 1000", "urn:uuid:0f1e", "S1", "http://192.0.2.1/admin", "http://192.0.2.1/icon.png")
INTENTS = ("Document", "Photo", "TextAndGraphic", "Preview")


def offered(configuration, default=DEFAULT, **options):
    found = capabilities_of(WHO, configuration, default, **options)
    assert found is None or ScannerCapabilities.read(found.write()) == found
    return found


def test_everything_of_a_large_device():
    profile = SettingProfile(
        COLORS[::-1], ("Text", "Photo", "TextAndPhoto", "Auto"), ("image/jpeg", "application/pdf", "image/tiff"),
        ((100, 100), (200, 200), (300, 300), (600, 600)), ("sRGB",))
    sheet = InputCaps(3, 2550, 3, 4200, (attrs.evolve(profile, resolutions=profile.resolutions[:3]),), INTENTS,
                      (600, 600))
    assert offered(FULL) == ScannerCapabilities(
        "Maker 1000", WHO.uuid, InputCaps(591, 2550, 591, 3510, (profile,), INTENTS, (600, 1200)),
        Adf(sheet, sheet, None, ("Duplex",)), serial_number="S1", manufacturer="Maker",
        admin_uri="http://192.0.2.1/admin", icon_uri="http://192.0.2.1/icon.png", brightness=Support(0, 2000, 1000),
        compression=Support(0, 80, 0), contrast=Support(0, 2000, 1000), sharpen=Support(0, 200, 100))


def test_a_small_device():
    found = offered(SMALL)
    assert found.adf is None and found.sources == (InputCaps(
        167, 2550, 167, 3510, (SettingProfile(("RGB24",), ("Auto",), ("image/jpeg", "application/pdf"),
                                              ((100, 100), (300, 300)), ("sRGB",)),),
        ("Document", "Photo", "Preview")),)
    assert (found.brightness, found.compression, found.contrast, found.sharpen) == (None,) * 4


@pytest.mark.parametrize(("manufacturer", "model", "expected"), [
    ("Maker", "1000", "Maker 1000"), ("Maker", "Maker 1000", "Maker 1000"), ("MAKER", "Maker 1000", "Maker 1000"),
    ("", "1000", "1000"), ("Maker", "", "Maker"), ("", "", "Scanner")])
def test_the_manufacturer_is_not_named_twice(manufacturer, model, expected):
    assert Identity(manufacturer, model, "e").make_and_model == expected


def test_a_scanner_without_a_serial_number_has_its_uuid_in_place_of_it():
    found = capabilities_of(attrs.evolve(WHO, serial_number=""), FULL, DEFAULT)
    assert found.serial_number == found.uuid


def test_the_uuid_depends_on_the_endpoint_alone_and_is_not_the_devices_own():
    assert attrs.evolve(WHO, model="other").uuid == WHO.uuid == "0ef2b6b7-d2e0-5179-8233-94acbecf092d"
    assert attrs.evolve(WHO, endpoint="urn:uuid:0f1f").uuid != WHO.uuid
    assert WHO.uuid == WHO.uuid.lower()


@pytest.mark.parametrize(("sources", "platen", "simplex", "duplex"), [
    ({PLATEN: GLASS}, True, False, False), ({ADF: FEEDER}, False, True, False),
    ({PLATEN: GLASS, ADF: FEEDER}, True, True, False), ({ADF: FEEDER, ADF_DUPLEX: FEEDER}, False, True, True)])
def test_sources(sources, platen, simplex, duplex):
    found = offered(attrs.evolve(FULL, sources=sources))
    adf = found.adf or Adf()
    assert (found.platen is not None, adf.simplex is not None, adf.duplex is not None) == (platen, simplex, duplex)
    assert (found.adf is None) == (not simplex)
    assert adf.options == (("Duplex",) if duplex else ())


def test_paper_is_only_detected_by_a_scanner_that_has_reported_an_empty_feeder():
    assert offered(FULL, detects_paper=True).adf.options == ("DetectPaperLoaded", "Duplex")
    assert offered(SMALL, detects_paper=True).adf is None


@pytest.mark.parametrize(("colors", "formats", "modes"), [
    (("BlackAndWhite1", "Grayscale8", "RGB24"), ("jfif",), ("RGB24", "Grayscale8", "BlackAndWhite1")),
    (("Grayscale4", "Grayscale8"), ("jfif",), ("Grayscale8",)),
    (("RGBa32", "RGBa64", "RGB24"), ("png",), ("RGB24",)),
    (("Grayscale16", "RGB48", "RGB24"), ("jfif", "dib"), ("RGB24",)),
    (("Grayscale16", "RGB48", "RGB24"), ("png",), ("RGB24", "RGB48", "Grayscale16")),
    (("RGB48",), ("tiff-single-uncompressed",), ("RGB48",)),
    (("Vendor", "RGB24", "RGB24"), ("jfif",), ("RGB24",)),
    ((), ("jfif",), ("Grayscale8",))])
def test_color_modes(colors, formats, modes):
    found = offered(ScannerConfiguration(formats, {PLATEN: SourceOffer((300,), colors)}),
                    DocumentParameters(color="Grayscale8"))
    assert found.platen.profiles[0].color_modes == modes


@pytest.mark.parametrize("configuration", [
    ScannerConfiguration(("jfif",), {}), ScannerConfiguration(("xps", "jbig"), {PLATEN: GLASS}),
    ScannerConfiguration(("jfif",), {PLATEN: SourceOffer((300,), ("Grayscale4", "RGBa32"))})])
def test_a_scanner_that_no_client_can_use_is_not_offered(configuration):
    assert offered(configuration) is None


def test_what_is_not_reported_is_taken_from_the_default_ticket():
    bare = ScannerConfiguration((), {PLATEN: SourceOffer()})
    default = DocumentParameters("png", color="RGB24", resolution=150, size=(8500, 11000))
    assert offered(bare, default).platen == InputCaps(
        1, 2550, 1, 3300, (SettingProfile(("RGB24",), (), ("image/jpeg", "application/pdf", "image/png"),
                                          ((150, 150),), ("sRGB",)),), ("Document", "Photo", "Preview"))
    assert offered(bare, DocumentParameters()).platen == InputCaps(
        1, 2481, 1, 3507, (SettingProfile(("RGB24", "Grayscale8"), (), ("image/jpeg", "application/pdf"),
                                          ((300, 300),), ("sRGB",)),), ("Document", "Photo", "Preview"))


def test_a_minimum_is_never_above_the_maximum():
    odd = ScannerConfiguration(("jfif",), {PLATEN: SourceOffer((300,), ("RGB24",), (8503, 8503), (9000, 8503))})
    caps = offered(odd).platen
    assert (caps.min_width, caps.max_width, caps.min_height, caps.max_height) == (2550,) * 4


@pytest.mark.parametrize(("reported", "types", "intents"), [
    ((), (), ("Document", "Photo", "Preview")), (("Auto",), ("Auto",), ("Document", "Photo", "Preview")),
    (("Text",), ("Text",), ("Document", "Preview")), (("Photo",), ("Photo",), ("Photo", "Preview")),
    (("Mixed", "Halftone"), ("TextAndPhoto", "Halftone"), ("TextAndGraphic", "Preview")),
    (("Vendor", "Auto"), ("Auto",), ("Document", "Photo", "Preview"))])
def test_content_types_and_intents(reported, types, intents):
    caps = offered(attrs.evolve(SMALL, content_types=reported)).platen
    assert (caps.profiles[0].content_types, caps.intents) == (types, intents)


@pytest.mark.parametrize(("quality", "usual", "support"), [
    (None, 50, None), ((100, 100), 100, None), ((0, 100), None, Support(0, 100, 0)),
    ((0, 100), 80, Support(0, 100, 20)),
    ((20, 100), 20, Support(0, 80, 25)), ((0, 100), 1, Support(0, 100, 25)), ((20, 90), 95, Support(0, 70, 0)),
    ((20, 90), 1, Support(0, 70, 15)), ((10, 60), 30, Support(0, 50, 0)), ((90, 100), 1, Support(0, 10, 10))])
def test_the_range_of_compression(quality, usual, support):
    assert offered(attrs.evolve(SMALL, quality=quality), attrs.evolve(DEFAULT, quality=usual)).compression == support


@pytest.mark.parametrize(("brightness", "contrast"), [(True, False), (False, True), (False, False)])
def test_the_ranges_of_exposure(brightness, contrast):
    found = offered(attrs.evolve(SMALL, brightness=brightness, contrast=contrast))
    tone = Support(0, 2000, 1000)
    assert (found.brightness, found.contrast) == (tone if brightness else None, tone if contrast else None)
    assert found.sharpen == (Support(0, 200, 100) if brightness or contrast else None)
