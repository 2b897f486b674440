"""Tests of scan.documentparameters: written scan tickets are read back unchanged."""

import pytest

from tests.scan.elements import element
from wsdgateway.scan.documentparameters import DocumentParameters, read_parameters, write_scan_ticket


@pytest.mark.parametrize("wanted", [
    DocumentParameters("jfif", "Platen", 1, "RGB24", 300, (8500, 11700)),
    DocumentParameters("x<&>", "ADF", 0, "y", None, None, True), DocumentParameters("png")])
def test_a_ticket_is_read_as_it_was_written(wanted):
    ticket = element(write_scan_ticket(wanted, job_name="a&b", user="u"))
    assert ticket.findtext("{*}JobDescription/{*}JobName") == "a&b"
    assert read_parameters(ticket.find("{*}DocumentParameters")) == wanted
    assert ticket.find(".//{*}MediaBack") is None


def test_the_back_of_a_page_has_the_parameters_of_its_front():
    ticket = element(write_scan_ticket(DocumentParameters("jfif", "ADFDuplex", 0, "RGB24", 300, (1, 2)),
                                       job_name="n", user="u"))
    front, back = (ticket.find(f".//{{*}}{side}") for side in ("MediaFront", "MediaBack"))
    assert [part.tag for part in front.iter()][1:] == [part.tag for part in back.iter()][1:]
    assert [part.text for part in front.iter()] == [part.text for part in back.iter()]
