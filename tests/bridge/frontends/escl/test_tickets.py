"""Tests of bridge.frontends.escl.tickets: the ticket, or the conflict, for the settings of a client."""

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bridge.frontends.escl.offers import DEFAULT, FEEDER, FULL, GLASS, SMALL
from tests.scan.elements import element
from wsdgateway.bridge.frontends.escl.capabilities import Identity, capabilities_of
from wsdgateway.bridge.frontends.escl.tickets import Conflict, PlannedJob, ticket_of
from wsdgateway.escl.scansettings import ScanRegion, ScanSettings
from wsdgateway.scan.documentparameters import DocumentParameters, Exposure
from wsdgateway.scan.jobs import write_create
from wsdgateway.scan.scannerconfiguration import (
    ADF,
    ADF_DUPLEX,
    PLATEN,
    ScannerConfiguration,
    SourceOffer,
    read_configuration,
)
from wsdgateway.scan.scanticket import ScanTicket
from wsdgateway.simulator.description import scanner_elements
from wsdgateway.simulator.settings import Settings
from wsdgateway.simulator.ticket import read_ticket

A4 = ScanRegion(0, 0, 2480, 3508)


def planned(configuration=FULL, default=DEFAULT, *, all_images=0, **asked):
    return ticket_of(ScanSettings(**asked), configuration, default, client="192.0.2.7", all_images=all_images)


def parameters(configuration=FULL, default=DEFAULT, **asked):
    found = planned(configuration, default, **asked)
    assert isinstance(found, PlannedJob), found
    return found.parameters


def reason(configuration=FULL, default=DEFAULT, **asked):
    found = planned(configuration, default, **asked)
    assert isinstance(found, Conflict), found
    return found.reason


def test_complete_settings():
    found = planned(
        region=A4, format="image/jpeg", source="Feeder", duplex=True, x_resolution=300, y_resolution=300,
        color_mode="Grayscale8", pages=4, content_type="TextAndPhoto", brightness=1500, contrast=0, sharpen=150,
        compression=30)
    expected = DocumentParameters(
        "jfif", "ADFDuplex", 4, "Grayscale8", 300, (8267, 11693), False, (0, 0), 70, "Mixed", Exposure(-1000, 500, 50),
        (100, 100), 0)
    assert found == PlannedJob((
        ScanTicket("eSCL scan", "192.0.2.7", expected),
        ScanTicket("eSCL scan", "192.0.2.7", attrs.evolve(expected, format="exif"))), "image/jpeg")


def test_minimal_settings_are_the_scanners_defaults():
    expected = DocumentParameters("jfif", "Platen", 1, "RGB24", 200, (8270, 11690), scaling=(100, 100), rotation=0)
    assert planned() == PlannedJob((
        ScanTicket("eSCL scan", "192.0.2.7", expected),
        ScanTicket("eSCL scan", "192.0.2.7", attrs.evolve(expected, format="exif"))), "image/jpeg")
    assert planned(SMALL, DocumentParameters()) == PlannedJob((ScanTicket(
        "eSCL scan", "192.0.2.7", DocumentParameters("exif", "Platen", 1, "RGB24", 300, (8500, 11700))),), "image/jpeg")


@pytest.mark.parametrize(("asked", "source", "images"), [
    ({}, "Platen", 1), ({"source": "Platen"}, "Platen", 1), ({"source": "Platen", "duplex": True}, "Platen", 1),
    ({"source": "Platen", "pages": 9}, "Platen", 1), ({"source": "Feeder"}, "ADF", 0),
    ({"source": "Feeder", "duplex": False}, "ADF", 0), ({"source": "Feeder", "duplex": True}, "ADFDuplex", 0),
    ({"source": "Feeder", "pages": 3}, "ADF", 3), ({"source": "Feeder", "pages": 0}, "ADF", 0),
    ({"source": "Feeder", "all_images": 100}, "ADF", 100),
    ({"source": "Feeder", "pages": 2, "all_images": 100}, "ADF", 2)])
def test_sources_and_numbers_of_images(asked, source, images):
    found = parameters(**asked)
    assert (found.source, found.images) == (source, images)


@pytest.mark.parametrize(("asked", "tried"), [
    ({"source": "Feeder"}, [("jfif", 0), ("exif", 0), ("jfif", 100)]),
    ({"source": "Platen"}, [("jfif", 1), ("exif", 1)]),
    ({"source": "Feeder", "pages": 3}, [("jfif", 3), ("exif", 3)]),
    ({"source": "Feeder", "all_images": 100}, [("jfif", 100), ("exif", 100)])])
def test_a_scanner_that_refuses_an_open_number_of_images_is_asked_for_many(asked, tried):
    assert [(one.parameters.format, one.parameters.images) for one in planned(format="image/jpeg", **asked).tickets
            ] == tried


def test_without_a_platen_the_feeder_is_the_default():
    assert parameters(attrs.evolve(FULL, sources={ADF: FEEDER}), source=None).source == "ADF"


@pytest.mark.parametrize(("sources", "asked", "why"), [
    ({PLATEN: GLASS}, {"source": "Feeder"}, "the scanner has no source Feeder"),
    ({PLATEN: GLASS, ADF: FEEDER}, {"source": "Feeder", "duplex": True}, "no source Feeder for both sides"),
    ({ADF: FEEDER}, {"source": "Platen"}, "no source Platen"),
    ({PLATEN: GLASS}, {"source": "Camera"}, "no source Camera"),
    ({}, {}, "no source Feeder")])
def test_sources_that_the_scanner_does_not_have(sources, asked, why):
    assert why in reason(attrs.evolve(FULL, sources=sources), **asked)


@pytest.mark.parametrize(("asked", "formats", "media", "first", "second"), [
    ("image/jpeg", ("exif",), "image/jpeg", "exif", None), ("image/jpeg", ("png",), "image/jpeg", "png", None),
    ("IMAGE/JPEG", ("exif", "jfif"), "image/jpeg", "jfif", "exif"),
    ("application/pdf", ("exif",), "application/pdf", "exif", None),
    ("application/pdf", ("exif", "pdf-a"), "application/pdf", "pdf-a", "exif"),
    ("image/png", ("jfif", "png"), "image/png", "png", "jfif"),
    ("image/tiff", ("jfif", "tiff-single-jpeg-tn2"), "image/tiff", "tiff-single-jpeg-tn2", "jfif"),
    ("application/bmp", ("dib",), "application/bmp", "dib", None),
    (None, ("jfif", "png"), "image/jpeg", "jfif", "png"), (None, ("pdf-a",), "application/pdf", "pdf-a", None)])
def test_formats(asked, formats, media, first, second):
    found = planned(attrs.evolve(FULL, formats=formats), format=asked)
    expected = [first] if second is None else [first, second]
    assert (found.media_type, [ticket.parameters.format for ticket in found.tickets]) == (media, expected)


@pytest.mark.parametrize(("default", "media"), [
    ("jfif", "image/jpeg"), ("exif", "image/jpeg"), ("pdf-a", "application/pdf"), ("tiff-single-g4", "image/tiff"),
    ("png", "image/jpeg"), ("xps", "image/jpeg"), (None, "image/jpeg")])
def test_the_default_format_is_the_scanners_own_if_it_is_offered(default, media):
    assert planned(default=attrs.evolve(DEFAULT, format=default)).media_type == media


@pytest.mark.parametrize(("formats", "asked"), [
    (("jfif",), "image/png"), (("jfif",), "image/tiff"), (("jfif",), "application/bmp"), (("jfif",), "image/webp"),
    (("pdf-a",), "image/jpeg")])
def test_formats_that_are_not_offered(formats, asked):
    assert reason(attrs.evolve(FULL, formats=formats), format=asked) == f"the format {asked} is not offered"


@pytest.mark.parametrize(("asked", "intent", "default", "color"), [
    ("RGB24", None, "Grayscale8", "RGB24"), ("BlackAndWhite1", "Photo", "RGB24", "BlackAndWhite1"),
    (None, None, "Grayscale8", "Grayscale8"), (None, None, "RGBa32", "RGB24"), (None, None, None, "RGB24"),
    (None, "Document", "RGB24", "Grayscale8"), (None, "Photo", "BlackAndWhite1", "RGB24"),
    (None, "TextAndGraphic", "BlackAndWhite1", "BlackAndWhite1"), ("AutoColorDetection", None, None, "RGB24"),
    ("AutoColorDetection", "Document", None, "Grayscale8")])
def test_color_modes(asked, intent, default, color):
    assert parameters(default=attrs.evolve(DEFAULT, color=default), color_mode=asked, intent=intent).color == color


@pytest.mark.parametrize(("offered", "media", "asked", "expected"), [
    (("RGB48", "RGB24"), "image/png", "RGB48", ("RGB48", "png")),
    (("RGB48", "RGB24"), "image/jpeg", "RGB48", ("RGB24", "jfif")),
    (("RGB48",), "image/jpeg", "RGB48", ("RGB48", "png")),
    (("Grayscale16", "Grayscale8"), "application/pdf", "Grayscale16", ("Grayscale8", "jfif")),
    (("BlackAndWhite1",), "image/jpeg", None, ("BlackAndWhite1", "jfif")),
    (("RGB24",), "image/jpeg", None, ("RGB24", "jfif"))])
def test_16_bits_only_where_the_media_type_holds_them(offered, media, asked, expected):
    deep = ScannerConfiguration(("jfif", "png"), {PLATEN: SourceOffer((300,), offered)})
    found = parameters(deep, format=media, color_mode=asked, intent="Document" if asked is None else None)
    assert (found.color, found.format) == expected


@pytest.mark.parametrize(("offered", "media", "asked"), [
    (("RGB24",), "image/jpeg", "Grayscale8"), (("RGB24", "Grayscale4"), "image/jpeg", "Grayscale4"),
    (("RGB24",), "image/jpeg", "Vendor"), (("RGB24",), "image/png", "RGB48")])
def test_color_modes_that_are_not_offered(offered, media, asked):
    deep = ScannerConfiguration(("jfif", "png"), {PLATEN: SourceOffer((300,), offered)})
    assert "the colour mode" in reason(deep, format=media, color_mode=asked)


def test_a_colour_that_the_only_format_of_the_media_type_cannot_hold():
    fax = ScannerConfiguration(("pdf-a", "tiff-single-g4"), {PLATEN: SourceOffer((300,), ("RGB24", "BlackAndWhite1"))})
    assert "no format for image/tiff in RGB24" in reason(fax, format="image/tiff")
    assert parameters(fax, format="image/tiff", color_mode="BlackAndWhite1").format == "tiff-single-g4"


@pytest.mark.parametrize(("asked", "default", "dots"), [
    ((300, 300), 200, 300), ((300, None), 200, 300), ((None, 100), 200, 100), ((None, None), 200, 200),
    ((None, None), 75, 100), ((None, None), None, 300), ((0, 0), None, 300), ((None, None), 1200, 600)])
def test_resolutions(asked, default, dots):
    assert parameters(default=attrs.evolve(DEFAULT, resolution=default), x_resolution=asked[0],
                      y_resolution=asked[1]).resolution == dots


@pytest.mark.parametrize("asked", [(300, 600), (150, 150), (1200, None)])
def test_resolutions_that_are_not_offered(asked):
    assert "is not offered" in reason(x_resolution=asked[0], y_resolution=asked[1])


@pytest.mark.parametrize(("region", "offset", "size"), [
    (A4, (0, 0), (8267, 11693)), (ScanRegion(0, 0, 2550, 3300), (0, 0), (8500, 11000)),
    (ScanRegion(0, 0, 2550, 3510), (0, 0), (8500, 11700)), (ScanRegion(), (0, 0), (8500, 11700)),
    (ScanRegion(300, 600), (1000, 2000), (7500, 9700)), (ScanRegion(150, 0, 600, 600), (500, 0), (2000, 2000)),
    (ScanRegion(0, 0, 5000, 9000), (0, 0), (8500, 11700)),
    (ScanRegion(300, 300, 2550, 3510), (1000, 1000), (7500, 10700)),
    (ScanRegion(0, 0, 1, 1), (0, 0), (1969, 1969)), (ScanRegion(2549, 3509, 1, 1), (6531, 9731), (1969, 1969))])
def test_regions_are_clipped(region, offset, size):
    found = parameters(region=region)
    assert (found.offset, found.size) == (offset, size)


@pytest.mark.parametrize(("region", "why"), [
    (ScanRegion(2550, 0, 10, 10), "outside"), (ScanRegion(0, 9999), "outside"),
    (ScanRegion(0, 0, 10, 10, "Pixels"), "the unit Pixels is not ThreeHundredthsOfInches")])
def test_regions_that_cannot_be_scanned(region, why):
    assert why in reason(region=region)


@pytest.mark.parametrize(("region", "fits"), [
    (ScanRegion(0, 0, 2550, 3510), True), (ScanRegion(0, 0, 2553, 3510), False), (ScanRegion(3, 0, 2550, 3510), False),
    (ScanRegion(0, 3000, 100, 513), False), (ScanRegion(), True)])
def test_a_region_that_must_be_honored_is_not_clipped(region, fits):
    found = planned(region=region, must_honor=True)
    assert isinstance(found, PlannedJob) == fits
    assert fits or "must be honored" in found.reason


@pytest.mark.parametrize(("region", "offset", "size"), [
    (ScanRegion(1, 0, 2550, 3512), (3, 0), (8497, 11700)),  # rounded twice
    (ScanRegion(100, 0, 200, 200), (333, 0), (1969, 1969)),
    (ScanRegion(2350, 3310, 200, 200), (6531, 9731), (1969, 1969))])
def test_a_region_that_must_be_honored_may_be_rounded_and_smaller_than_the_least_size(region, offset, size):
    found = parameters(region=region, must_honor=True)
    assert (found.offset, found.size) == (offset, size)


@pytest.mark.parametrize(("default", "offset", "size"), [
    (attrs.evolve(DEFAULT, size=None), (0, 0), (8500, 11700)),
    (attrs.evolve(DEFAULT, size=(20000, 500)), (0, 0), (8500, 1969)),
    (attrs.evolve(DEFAULT, size=(8000, 11000), offset=(1000, 0)), (1000, 0), (7500, 11000))])
def test_without_a_region_the_default_one_is_clipped(default, offset, size):
    found = parameters(default=default)
    assert (found.offset, found.size) == (offset, size)


@pytest.mark.parametrize(("factor", "quality"), [
    (None, None), (0, 100), (80, 20), (30, 70), (-5, 100), (999, 20)])
def test_a_low_compression_is_a_high_quality(factor, quality):
    assert parameters(compression=factor).quality == quality
    assert parameters(SMALL, compression=factor).quality is None


@pytest.mark.parametrize(("content_type", "intent", "expected"), [
    ("Text", None, "Text"), ("Photo", None, "Photo"), ("TextAndPhoto", None, "Mixed"), ("Auto", None, "Auto"),
    ("Halftone", None, None), ("LineArt", None, "Text"), ("Magazine", None, "Mixed"), ("Vendor", None, None),
    (None, "Document", "Text"), (None, "Photo", "Photo"), (None, "TextAndGraphic", "Mixed"), (None, "Preview", "Photo"),
    (None, "Object", "Photo"), (None, "BusinessCard", "Text"), (None, "Vendor", None), ("Auto", "Photo", "Auto"),
    (None, None, None)])
def test_content_types_and_intents(content_type, intent, expected):
    found = planned(content_type=content_type, intent=intent)
    assert (found.parameters.content_type, found.media_type) == (expected, "image/jpeg")
    undistinguishing = attrs.evolve(FULL, content_types=())
    assert parameters(undistinguishing, content_type=content_type, intent=intent).content_type is None


@pytest.mark.parametrize(("asked", "expected"), [
    ({}, None), ({"brightness": 1000, "contrast": 1000, "sharpen": 100}, None),
    ({"brightness": 0}, Exposure(0, -1000, 0)),
    ({"brightness": 2000}, Exposure(0, 1000, 0)), ({"contrast": 1250}, Exposure(250, 0, 0)),
    ({"sharpen": 0}, Exposure(0, 0, -100)), ({"brightness": 9999, "contrast": -5}, Exposure(-1000, 1000, 0))])
def test_exposure_is_only_sent_if_the_client_changes_it(asked, expected):
    assert parameters(**asked).exposure == expected
    assert parameters(attrs.evolve(FULL, brightness=False, contrast=False), **asked).exposure is None


def test_exposure_keeps_the_scanners_other_defaults():
    default = attrs.evolve(DEFAULT, exposure=Exposure(5, 6, 7))
    assert parameters(default=default, brightness=1000).exposure == Exposure(5, 0, 7)
    assert parameters(default=default, brightness=1006).exposure is None


def test_scaling_and_rotation_are_only_written_for_scanners_that_have_them():
    turned = attrs.evolve(DEFAULT, scaling=(50, 50), rotation=180)
    assert (parameters(default=turned).scaling, parameters(default=turned).rotation) == ((100, 100), 0)
    bare = parameters(default=DocumentParameters())
    assert (bare.scaling, bare.rotation) == (None, None)


@pytest.mark.parametrize(("source", "duplex"), [("Platen", False), ("Feeder", False), ("Feeder", True)])
@pytest.mark.parametrize("media", ["image/jpeg", "application/pdf", "image/png"])
def test_the_virtual_scanner_accepts_tickets_for_its_own_offer(source, duplex, media):
    elements = {name: element(xml) for name, xml in scanner_elements(Settings(), status="").items() if xml}
    configuration = read_configuration(elements["ScannerConfiguration"])
    default = ScanTicket.read(elements["DefaultScanTicket"]).parameters
    found = planned(configuration, default, source=source, duplex=duplex, format=media, region=A4,
                    color_mode="Grayscale8", x_resolution=150, compression=10, brightness=1500, content_type="Text")
    ticket = read_ticket(element(write_create(found.tickets[0].text())))
    assert ticket.problem is None
    assert (ticket.page.width, ticket.page.height, ticket.page.resolution, ticket.page.color, ticket.name) == (
        8267, 11693, 150, "Grayscale8", "eSCL scan")
    assert found.parameters.exposure is None and found.parameters.quality == 90


SIZES = st.tuples(st.integers(1, 20000), st.integers(1, 20000))
OFFERS = st.builds(SourceOffer, st.sets(st.sampled_from((75, 150, 300, 600)), max_size=3).map(tuple),
                   st.sets(st.sampled_from(("RGB24", "Grayscale8", "RGB48", "Grayscale4")), max_size=3).map(tuple),
                   st.none() | SIZES, st.none() | SIZES)
SCANNERS = st.builds(
    ScannerConfiguration, st.sets(st.sampled_from(("jfif", "png", "pdf-a", "xps")), max_size=2).map(tuple),
    st.dictionaries(st.sampled_from((PLATEN, ADF, ADF_DUPLEX)), OFFERS))


@settings(derandomize=True, database=None, max_examples=300)
@given(SCANNERS, st.data())
def test_everything_that_the_capabilities_show_can_be_asked_for(configuration, data):
    default = DocumentParameters()
    shown = capabilities_of(Identity("m", "n", "e"), configuration, default)
    if shown is None:
        assert isinstance(ticket_of(ScanSettings(), configuration, default, client="c"), Conflict)
        return
    adf = shown.adf
    offered = [("Platen", False, shown.platen)] + ([] if adf is None else [
        ("Feeder", False, adf.simplex), ("Feeder", True, adf.duplex)])
    source, duplex, caps = data.draw(st.sampled_from([one for one in offered if one[2] is not None] or [offered[0]]))
    if caps is None:  # only ADFDuplex, without ADF, which read_configuration never makes
        return
    profile = caps.profiles[0]
    x, y = (data.draw(st.integers(0, most - least)) for least, most in (
        (caps.min_width, caps.max_width), (caps.min_height, caps.max_height)))
    width, height = (data.draw(st.integers(least, most - start)) for start, least, most in (
        (x, caps.min_width, caps.max_width), (y, caps.min_height, caps.max_height)))
    dots = data.draw(st.sampled_from(profile.resolutions))[0]
    asked = ScanSettings(
        region=ScanRegion(x, y, width, height), must_honor=True, format=data.draw(st.sampled_from(profile.formats)),
        source=source, x_resolution=dots, y_resolution=dots, color_mode=data.draw(st.sampled_from(profile.color_modes)),
        duplex=duplex)
    found = ticket_of(asked, configuration, default, client="c")
    assert isinstance(found, PlannedJob), found
    parameters = found.parameters
    maximum = configuration.sources[parameters.source].maximum or (8270, 11690)
    assert found.media_type == asked.format
    for way in (0, 1):
        assert parameters.offset[way] >= 0 and parameters.size[way] > 0
        assert parameters.offset[way] + parameters.size[way] <= maximum[way]
