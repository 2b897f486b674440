"""Choices of `wsdgateway scan`: what it asks of a scanner, and what it refuses to ask."""

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


def test_what_is_not_named_is_the_scanners_default():
    assert first(Wishes("jpeg")) == DocumentParameters("jfif", "Platen", 1, "Grayscale8", 200, (8270, 11690))


def test_a_default_that_the_source_does_not_offer_is_replaced_by_what_comes_near():
    default = DocumentParameters(color="RGB24", resolution=300, size=(9000, 15000))
    chosen = first(Wishes("pdf", "adf"), default=default)
    assert (chosen.source, chosen.images, chosen.color, chosen.resolution) == ("ADF", 0, "Grayscale8", 200)
    assert chosen.size == (8500, 14000)


def test_without_a_default_it_is_colour_about_300_dots_and_a_sheet():
    chosen = first(Wishes("jpeg"), default=DocumentParameters())
    assert (chosen.color, chosen.resolution, chosen.size) == ("RGB24", 200, (8500, 11700))
    assert first(Wishes("jpeg", "adf"), default=DocumentParameters()).size == (8270, 11690)


def test_a_feeder_that_sees_the_size_of_a_page_is_left_to_do_so():
    scanner = ScannerConfiguration(("jfif",), SCANNER.sources, auto_detect=True)
    assert first(Wishes("jpeg", "adf"), scanner).auto_detect
    assert first(Wishes("jpeg", "adf"), scanner).size is None
    assert not first(Wishes("jpeg"), scanner).auto_detect


@pytest.mark.parametrize(("wishes", "formats"), [
    (Wishes("jpeg"), ("jfif", "exif")), (Wishes("pdf"), ("jfif", "exif", "png")), (Wishes("png"), ("png",)),
    (Wishes("pdf", color="bw"), ("tiff-single-g4", "png", "jfif", "exif")),
    (Wishes("tiff", color="bw"), ("tiff-single-g4",)), (Wishes("jpeg", format="exif"), ("exif",))])
def test_formats_are_those_that_the_file_can_be_made_of(wishes, formats):
    assert tuple(ticket.format for ticket in choose(wishes, SCANNER, DEFAULT)) == formats


@pytest.mark.parametrize(("wishes", "said"), [
    (Wishes("jpeg", "duplex"), "--source duplex: the scanner offers platen, adf"),
    (Wishes("jpeg", resolution=300), "--resolution 300: the scanner offers 75, 200, 600 dots per inch from its platen"),
    (Wishes("jpeg", "adf", color="color"), "--color color: the scanner offers Grayscale8 from its adf"),
    (Wishes("tiff", format="tiff-multi-g4"), "--format tiff-multi-g4: the scanner offers exif, jfif, png"),
    (Wishes("tiff"), "The scanner offers no format that can be written as tiff, only exif")])
def test_what_is_not_offered_is_said_and_never_asked(wishes, said):
    with pytest.raises(ScanError) as caught:
        choose(wishes, SCANNER, DEFAULT)
    assert str(caught.value).startswith(said)
    assert caught.value.status == WRONG


def test_names_from_the_network_bring_no_control_characters():
    scanner = ScannerConfiguration(("\x1b[31mevil\nline",), SCANNER.sources)
    with pytest.raises(ScanError) as caught:
        choose(Wishes("jpeg"), scanner, DEFAULT)
    assert str(caught.value).isprintable()


def test_a_scanner_that_says_nothing_is_asked_for_no_more_than_was_named():
    assert choose(Wishes("jpeg", "duplex", 300, "bw"), None, DocumentParameters()) == tuple(
        DocumentParameters(name, "ADFDuplex", 0, "BlackAndWhite1", 300) for name in ("jfif", "exif"))
    assert first(Wishes("png"), None, DocumentParameters()) == DocumentParameters("png", "Platen", 1)
    empty = ScannerConfiguration((), {})
    assert first(Wishes("png", "adf"), empty, DocumentParameters()) == DocumentParameters("png", "ADF", 0)
    assert first(Wishes("png", "adf", 300, "gray"), empty, DocumentParameters()).color == "Grayscale8"
