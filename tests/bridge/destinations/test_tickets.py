"""Tests of bridge.destinations.tickets: what a press scans."""

import attrs
import pytest
from lxml import etree

from wsdgateway.bridge.destinations.tickets import NUMBERS, PanelOffer, make_plan, validated, write_validate
from wsdgateway.config.sections import Destination
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.scannerconfiguration import ADF, ADF_DUPLEX, PLATEN, ScannerConfiguration, SourceOffer
from wsdgateway.scan.scannerstatus import DeviceCondition, ScannerStatus
from wsdgateway.soap.namespaces import WSCN

SOURCE = SourceOffer((75, 150, 300, 600), ("RGB24", "Grayscale8", "BlackAndWhite1"), (8500, 11700), (100, 100))
SOURCES = {PLATEN: SOURCE, ADF: SOURCE, ADF_DUPLEX: SOURCE}
DEFAULT = DocumentParameters("jfif", PLATEN, 1, "Grayscale8", 150, (8270, 11690))
LOADED, EMPTY, UNKNOWN = ScannerStatus("Idle", (), ()), ScannerStatus(
    "Idle", (), (DeviceCondition("InputTrayEmpty"),)), ScannerStatus("Idle")


def offer(sources=SOURCES, formats=("jfif", "png", "tiff-single-g4"), default=DEFAULT, status=LOADED):
    return PanelOffer(ScannerConfiguration(formats, dict(sources)), default, status)


def wanted(**more):
    return Destination("Scans", folder="x", **more)


def plan(settings=None, pressed=None, may_guess=True, **more):
    return make_plan(wanted(**(settings or {})), offer(**more), pressed, may_guess=may_guess)


@pytest.mark.parametrize(("settings", "pressed", "more", "source", "guessed"), [
    ({}, "Platen", {}, PLATEN, False), ({}, "ADF", {}, ADF, False), ({}, "ADFDuplex", {}, ADF_DUPLEX, False),
    ({}, None, {}, ADF, True), ({}, "Auto", {}, ADF, True), ({}, None, {"status": EMPTY}, PLATEN, False),
    ({}, None, {"status": UNKNOWN}, PLATEN, False), ({}, None, {"status": None}, PLATEN, False),
    ({}, None, {"may_guess": False}, PLATEN, False),
    ({}, None, {"default": attrs.evolve(DEFAULT, source=ADF_DUPLEX)}, ADF_DUPLEX, True),
    ({}, "ADF", {"sources": {PLATEN: SOURCE}}, PLATEN, False), ({}, None, {"sources": {ADF: SOURCE}}, ADF, True),
    ({}, None, {"sources": {ADF: SOURCE}, "status": EMPTY}, ADF, False), ({}, "ADF", {"sources": {}}, ADF, False),
    ({"source": "platen"}, "ADF", {}, PLATEN, False), ({"source": "adf"}, "Platen", {}, ADF, False),
    ({"source": "duplex"}, "Platen", {}, ADF_DUPLEX, False),
    ({"source": "duplex"}, None, {"sources": {PLATEN: SOURCE, ADF: SOURCE}}, ADF, False),
    ({"source": "adf"}, None, {"sources": {PLATEN: SOURCE}}, PLATEN, False),
    ({"source": "duplex"}, None, {"sources": {}}, ADF_DUPLEX, False),
])
def test_the_source(settings, pressed, more, source, guessed):
    found = plan(settings, pressed, **more)
    assert (found.parameters.source, found.guessed, found.feeder) == (source, guessed, source != PLATEN)
    assert found.images == found.parameters.images == (1 if source == PLATEN else 0)


@pytest.mark.parametrize(("asked", "usual", "dots"), [
    (300, 150, 300), (None, 150, 150), (None, None, 300), (200, None, 150), (9600, 150, 600), (10, 150, 75),
    (225, 150, 300)])
def test_the_nearest_resolution(asked, usual, dots):
    found = plan({"resolution": asked}, default=attrs.evolve(DEFAULT, resolution=usual))
    assert found.parameters.resolution == dots


@pytest.mark.parametrize(("asked", "format", "usual", "offered", "color"), [
    (None, "pdf", "Grayscale8", SOURCE.colors, "Grayscale8"), ("color", "pdf", "Grayscale8", SOURCE.colors, "RGB24"),
    ("bw", "pdf", "RGB24", SOURCE.colors, "BlackAndWhite1"), ("bw", "pdf", "RGB24", ("RGB24",), "RGB24"),
    ("gray", "pdf", "RGB24", ("RGB24", "BlackAndWhite1"), "RGB24"), (None, "pdf", None, SOURCE.colors, "RGB24"),
    (None, "jpeg", "RGB48", ("RGB24", "RGB48"), "RGB24"), (None, "png", "RGB48", ("RGB24", "RGB48"), "RGB48"),
    (None, "pdf", "vendor:Sepia", SOURCE.colors, "RGB24"),
])
def test_the_color(asked, format, usual, offered, color):
    sources = {PLATEN: attrs.evolve(SOURCE, colors=offered)}
    found = plan({"color": asked, "format": format}, sources=sources, default=attrs.evolve(DEFAULT, color=usual))
    assert found.parameters.color == color


@pytest.mark.parametrize(("format", "color", "offered", "wire"), [
    ("pdf", None, ("jfif", "png", "pdf-a"), "jfif"), ("pdf", "bw", ("jfif", "tiff-single-g4"), "tiff-single-g4"),
    ("jpeg", None, ("exif",), "exif"), ("png", None, ("jfif", "png"), "png"), ("tiff", None, ("jfif",), "jfif"),
    ("pdf", None, ("pdf-a",), "pdf-a"),
])
def test_the_format(format, color, offered, wire):
    found = plan({"format": format, "color": color}, formats=offered, default=attrs.evolve(DEFAULT, format=None))
    assert found.parameters.format == wire


def test_a_refused_number_of_pages_has_another_ticket():
    found = plan({"source": "adf"}, formats=("jfif",))
    assert [one.parameters.images for one in found.tickets] == [0, *NUMBERS]
    assert [one.parameters.images for one in plan({"source": "platen"}, formats=("jfif",)).tickets] == [1]


def test_a_scanner_that_tells_nothing():
    found = make_plan(wanted(), PanelOffer(), None)
    assert (found.parameters.source, found.parameters.format, found.parameters.resolution) == (PLATEN, "jfif", 300)


def test_the_size_of_the_panel_is_kept_inside_the_source():
    found = plan(default=attrs.evolve(DEFAULT, size=(5000, 20000), offset=(6000, 10)))
    assert (found.parameters.size, found.parameters.offset) == ((5000, 11700), (3500, 0))
    assert plan(default=attrs.evolve(DEFAULT, size=None)).parameters.size == (8500, 11700)


def answer(valid, more=""):
    return etree.fromstring(f'<w:ValidateScanTicketResponse xmlns:w="{WSCN}"><w:ValidationInfo><w:ValidTicket>{valid}'
                            f"</w:ValidTicket>{more}</w:ValidationInfo></w:ValidateScanTicketResponse>")


def proposed(source):
    return (f"<w:ValidScanTicket><w:DocumentParameters><w:Format>exif</w:Format><w:InputSource>{source}"
            "</w:InputSource><w:ImagesToTransfer>1</w:ImagesToTransfer></w:DocumentParameters></w:ValidScanTicket>")


@pytest.mark.parametrize(("body", "changed"), [
    (answer("true"), False), (answer("1", proposed("ADF")), False), (answer("false", proposed("ADF")), True),
    (answer("0", proposed("ADF")), True), (answer("false", proposed("Platen")), False), (answer("false"), False),
    (None, False), (etree.fromstring("<x/>"), False)])
def test_the_scanners_opinion(body, changed):
    former = plan({"source": "adf"})
    found = validated(former, body)
    assert (found != former) is changed
    if changed:
        assert (found.parameters.format, found.parameters.images) == ("exif", 0)
        assert found.tickets[1] == former.tickets[0]
        assert found.tickets[0].job_name == "Scans"


def test_the_request_contains_the_ticket():
    body = etree.fromstring(f'<x xmlns:wscn="{WSCN}">{write_validate(plan().tickets[0])}</x>')[0]
    assert body.findtext(".//{*}JobName") == "Scans"
