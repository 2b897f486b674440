"""Tests of cli.scan.choosing: the options that are requested of a scanner, and refused options."""

import pytest

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan.choosing import Wishes, choose
from wsdgateway.cli.scan.outcomes import ScanError
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.scannerconfiguration import ScannerConfiguration, SourceOffer

OFFER = SourceOffer((75, 200, 600), ("RGB24", "Grayscale8", "BlackAndWhite1"), (8500, 11700))
SCANNER = ScannerConfiguration(("exif", "jfif", "png", "tiff-single-g4"),
                               {"Platen": OFFER, "ADF": SourceOffer((200,), ("Grayscale8",), (8500, 14000))})
DEFAULT = DocumentParameters("exif", "Platen", 1, "Grayscale8", 200, (8270, 11690))


def first(wishes, offered=SCANNER, default=DEFAULT):
    return choose(wishes, offered, default)[0]


def test_options_that_are_not_given_take_the_scanners_default():
    assert first(Wishes("jpeg")) == DocumentParameters("jfif", "Platen", 1, "Grayscale8", 200, (8270, 11690))


def test_a_default_that_the_source_does_not_offer_is_replaced_by_a_near_value():
    default = DocumentParameters(color="RGB24", resolution=300, size=(9000, 15000))
    chosen = first(Wishes("pdf", "adf"), default=default)
    assert (chosen.source, chosen.images, chosen.color, chosen.resolution) == ("ADF", 0, "Grayscale8", 200)
    assert chosen.size == (8500, 14000)


def test_without_a_default_the_scan_is_in_colour_near_300_dpi_and_of_sheet_size():
    chosen = first(Wishes("jpeg"), default=DocumentParameters())
    assert (chosen.color, chosen.resolution, chosen.size) == ("RGB24", 200, (8500, 11700))
    assert first(Wishes("jpeg", "adf"), default=DocumentParameters()).size == (8270, 11690)


def test_a_feeder_with_size_detection_gets_no_size():
    scanner = ScannerConfiguration(("jfif",), SCANNER.sources, auto_detect=True)
    assert first(Wishes("jpeg", "adf"), scanner).auto_detect
    assert first(Wishes("jpeg", "adf"), scanner).size is None
    assert not first(Wishes("jpeg"), scanner).auto_detect


@pytest.mark.parametrize(("wishes", "formats"), [
    (Wishes("jpeg"), ("jfif", "exif")), (Wishes("pdf"), ("jfif", "exif", "png")), (Wishes("png"), ("png",)),
    (Wishes("pdf", color="bw"), ("tiff-single-g4", "png", "jfif", "exif")),
    (Wishes("tiff", color="bw"), ("tiff-single-g4",)), (Wishes("jpeg", format="exif"), ("exif",))])
def test_the_formats_suit_the_file(wishes, formats):
    assert tuple(ticket.format for ticket in choose(wishes, SCANNER, DEFAULT)) == formats


@pytest.mark.parametrize(("wishes", "said"), [
    (Wishes("jpeg", "duplex"), "--source duplex: the scanner offers platen, adf"),
    (Wishes("jpeg", resolution=300), "--resolution 300: the scanner offers 75, 200, 600 dots per inch from its platen"),
    (Wishes("jpeg", "adf", color="color"), "--color color: the scanner offers Grayscale8 from its adf"),
    (Wishes("tiff", format="tiff-multi-g4"), "--format tiff-multi-g4: the scanner offers exif, jfif, png"),
    (Wishes("tiff"), "The scanner offers no format that can be written as tiff, only exif")])
def test_an_option_that_is_not_offered_is_an_error(wishes, said):
    with pytest.raises(ScanError) as caught:
        choose(wishes, SCANNER, DEFAULT)
    assert str(caught.value).startswith(said)
    assert caught.value.status == WRONG


def test_control_characters_in_names_from_the_network_are_removed():
    scanner = ScannerConfiguration(("\x1b[31mevil\nline",), SCANNER.sources)
    with pytest.raises(ScanError) as caught:
        choose(Wishes("jpeg"), scanner, DEFAULT)
    assert str(caught.value).isprintable()


def test_a_scanner_without_a_configuration_gets_only_the_given_options():
    assert choose(Wishes("jpeg", "duplex", 300, "bw"), None, DocumentParameters()) == tuple(
        DocumentParameters(name, "ADFDuplex", 0, "BlackAndWhite1", 300) for name in ("jfif", "exif"))
    assert first(Wishes("png"), None, DocumentParameters()) == DocumentParameters("png", "Platen", 1)
    empty = ScannerConfiguration((), {})
    assert first(Wishes("png", "adf"), empty, DocumentParameters()) == DocumentParameters("png", "ADF", 0)
    assert first(Wishes("png", "adf", 300, "gray"), empty, DocumentParameters()).color == "Grayscale8"
