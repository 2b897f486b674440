"""Tests of scan.scannerelements: requested and valid elements of GetScannerElements."""


from tests.messages import scanner_elements
from tests.scan.elements import element
from tests.scannerstatuses import status_answer
from wsdgateway.scan.scannerelements import MAX_NAME, has_all, read_description, read_elements, write_elements_request
from wsdgateway.soap.envelope import read


def test_invalid_elements_are_left_out():
    assert "<wscn:Name>wscn:A</wscn:Name><wscn:Name>wscn:B</wscn:Name>" in write_elements_request("A", "B")
    data = ("<wscn:GetScannerElementsResponse><wscn:ScannerElements><wscn:ElementData wscn:Valid='0'><wscn:A/>"
            "</wscn:ElementData><wscn:ElementData Valid='true'><wscn:B/></wscn:ElementData></wscn:ScannerElements>"
            "</wscn:GetScannerElementsResponse>")
    assert list(read_elements(element(data))) == ["B"]
    assert read_elements(None) == {}
    assert read_elements(element("<wscn:Other/>")) == {}


def test_answers_in_the_namespace_of_the_specifications_web_pages():
    body = read(status_answer("Idle").replace(b"2006/08/wdp/scan", b"2006/01/wdp/scan")).body
    assert list(read_elements(body)) == ["ScannerStatus"]
    assert has_all(body, ("ScannerStatus",))
    assert not has_all(body, ("ScannerDescription",))
    invalid = status_answer("Idle").replace(b'Valid="true"', b'wscn:Valid="0"')
    assert not has_all(read(invalid.replace(b"2006/08/wdp/scan", b"2006/01/wdp/scan")).body, ())
    assert read_description(body) == ("", "")


def test_a_name_without_end_is_cut():
    body = read(scanner_elements("ScannerDescription", note="<wscn:ScannerName>NAME</wscn:ScannerName>").replace(
        b"NAME", b"N" * 3_000_000)).body
    assert read_description(body) == ("N" * MAX_NAME, "")
