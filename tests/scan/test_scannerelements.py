"""Tests of scan.scannerelements: requested and valid elements of GetScannerElements."""


from tests.scan.elements import element
from wsdgateway.scan.scannerelements import read_elements, write_elements_request


def test_invalid_elements_are_left_out():
    assert "<wscn:Name>wscn:A</wscn:Name><wscn:Name>wscn:B</wscn:Name>" in write_elements_request("A", "B")
    data = ("<wscn:GetScannerElementsResponse><wscn:ScannerElements><wscn:ElementData wscn:Valid='0'><wscn:A/>"
            "</wscn:ElementData><wscn:ElementData Valid='true'><wscn:B/></wscn:ElementData></wscn:ScannerElements>"
            "</wscn:GetScannerElementsResponse>")
    assert list(read_elements(element(data))) == ["B"]
    assert read_elements(None) == {}
    assert read_elements(element("<wscn:Other/>")) == {}
