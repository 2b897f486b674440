"""Tests of scan.scanticket: complete tickets, written and read."""

import pytest

from tests.scan.elements import element
from wsdgateway.scan.documentparameters import DocumentParameters, Exposure
from wsdgateway.scan.scanticket import MAX_NAME, ScanTicket
from wsdgateway.soap.namespaces import WSCN

COMPLETE = DocumentParameters(
    "jfif", "ADFDuplex", 0, "RGB24", 300, (8267, 11693), False, (10, 20), 90, "Mixed", Exposure(-1000, 1000, -100),
    (100, 100), 0)


@pytest.mark.parametrize("ticket", [
    ScanTicket("eSCL scan", "192.0.2.7", COMPLETE), ScanTicket("a<&>b", "é"),
    ScanTicket("a", "b", DocumentParameters("png", auto_detect=True))])
def test_a_written_ticket_reads_as_the_same(ticket):
    assert ScanTicket.read(ticket.write()) == ticket
    assert ScanTicket.read(element(ticket.text())) == ticket


def test_elements_have_the_order_of_the_specification():
    written = ScanTicket("a", "b", COMPLETE).write()
    assert written.tag == f"{{{WSCN}}}ScanTicket"
    parameters = written[1]
    assert [one.tag.partition("}")[2] for one in parameters] == [
        "Format", "CompressionQualityFactor", "ImagesToTransfer", "InputSource", "ContentType", "InputSize", "Exposure",
        "Scaling", "Rotation", "MediaSides"]
    assert [[one.tag.partition("}")[2] for one in side] for side in parameters[-1]] == [
        ["ScanRegion", "ColorProcessing", "Resolution"]] * 2


@pytest.mark.parametrize(("xml", "expected"), [
    ("<wscn:DefaultScanTicket/>", ScanTicket("", "")),
    ("<wscn:DefaultScanTicket><wscn:DocumentParameters><wscn:Exposure><wscn:AutoExposure>true</wscn:AutoExposure>"
     "</wscn:Exposure><wscn:Rotation>x</wscn:Rotation>"
     "<wscn:CompressionQualityFactor>-1</wscn:CompressionQualityFactor>"
     "</wscn:DocumentParameters></wscn:DefaultScanTicket>", ScanTicket("", "")),
    ("<wscn:ScanTicket><wscn:DocumentParameters><wscn:Exposure><wscn:ExposureSettings>"
     "<wscn:Contrast> +5 </wscn:Contrast><wscn:Brightness>-</wscn:Brightness>"
     "<wscn:Sharpness>-1000000000000</wscn:Sharpness>"
     "</wscn:ExposureSettings></wscn:Exposure></wscn:DocumentParameters></wscn:ScanTicket>",
     ScanTicket("", "", DocumentParameters(exposure=Exposure(5, 0, 0))))])
def test_unreadable_values_are_left_out(xml, expected):
    assert ScanTicket.read(element(xml)) == expected


def test_names_are_limited_as_they_are_written():
    ticket = ScanTicket.read(ScanTicket("a" * 1000, "b" * 1000).write())
    assert (ticket.job_name, ticket.user) == ("a" * MAX_NAME, "b" * MAX_NAME)
