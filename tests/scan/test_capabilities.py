"""What a scanner offers, what is asked of it and how it is, read and written."""

import pytest

from tests.messages import envelope
from wsdgateway.scan.documentparameters import DocumentParameters, read_parameters, write_scan_ticket
from wsdgateway.scan.scannerconfiguration import ScannerConfiguration, SourceOffer, read_configuration
from wsdgateway.scan.scannerelements import read_elements, write_elements_request
from wsdgateway.scan.scannerstatus import ScannerStatus, read_status
from wsdgateway.simulator.conditions import Condition
from wsdgateway.simulator.description import scanner_elements
from wsdgateway.simulator.settings import Settings
from wsdgateway.soap.envelope import read


def element(xml):
    return read(envelope("x", xml)).body


def part(prefix, widths=(), heights=(), colors=(), size=None):
    def listed(name, values):
        return f"<wscn:{name}s>" + "".join(f"<wscn:{name}> {value}\n</wscn:{name}>" for value in values) + (
            f"</wscn:{name}s>")
    dots = f"<wscn:{prefix}Resolutions>{listed('Width', widths)}{listed('Height', heights)}</wscn:{prefix}Resolutions>"
    color = "".join(f"<wscn:ColorEntry>{value}</wscn:ColorEntry>" for value in colors)
    largest = "" if size is None else (f"<wscn:{prefix}MaximumSize><wscn:Width>{size[0]}</wscn:Width><wscn:Height>"
                                       f"{size[1]}</wscn:Height></wscn:{prefix}MaximumSize>")
    return f"{dots}<wscn:{prefix}Color>{color}</wscn:{prefix}Color>{largest}"


def configuration(inside):
    return read_configuration(element(f"<wscn:ScannerConfiguration>{inside}</wscn:ScannerConfiguration>"))


def test_the_virtual_scanners_own_configuration():
    jams = [Condition(number, "MediaJam", "Critical", 1e9) for number in (1, 2)]
    found = {name: element(xml) for name, xml in scanner_elements(
        Settings(), state="Stopped", reasons=["AttentionRequired"], conditions=jams, wall=1e9).items()}
    offered = read_configuration(found["ScannerConfiguration"])
    assert list(offered.sources) == ["Platen", "ADF", "ADFDuplex"]
    assert offered.sources["ADFDuplex"] == offered.sources["Platen"] == SourceOffer(
        (75, 100, 150, 200, 300, 600), ("RGB24", "Grayscale8", "BlackAndWhite1"), (8500, 11700))
    assert (offered.formats, offered.auto_detect) == (("jfif", "exif", "png"), False)
    assert read_status(found["ScannerStatus"]) == ScannerStatus("Stopped", ("AttentionRequired", "MediaJam"))
    default = read_parameters(next(found["DefaultScanTicket"].iter("{*}DocumentParameters")))
    assert default == DocumentParameters("jfif", "Platen", 1, "RGB24", 150, (8270, 11690))


def test_only_resolutions_of_both_directions_count():
    assert configuration("<wscn:Platen>" + part("Platen", (600, 300, "x", 300, 0), (300, 0)) + "</wscn:Platen>") == (
        ScannerConfiguration((), {"Platen": SourceOffer((300,))}))


@pytest.mark.parametrize(("duplex", "back", "resolutions"), [
    ("1", part("ADF", (300,), (), ("RGB24",)), (300,)),
    ("true", "", (200, 300)), ("0", "", None), (" false", "", None)])
def test_duplex_is_what_both_sides_have(duplex, back, resolutions):
    offered = configuration(
        f"<wscn:ADF><wscn:ADFSupportsDuplex>{duplex}</wscn:ADFSupportsDuplex><wscn:ADFFront>"
        f"{part('ADF', (200, 300), (), ('RGB24', 'Grayscale8'))}</wscn:ADFFront><wscn:ADFBack>{back}</wscn:ADFBack>"
        "</wscn:ADF>")
    found = offered.sources.get("ADFDuplex")
    assert (None if found is None else found.resolutions) == resolutions
    assert "Platen" not in offered.sources


@pytest.mark.parametrize("xml", [
    "", "<wscn:Platen/>", "<wscn:ADF/>", "<wscn:DeviceSettings/>",
    "<wscn:Platen><wscn:PlatenMaximumSize><wscn:Width>big</wscn:Width></wscn:PlatenMaximumSize></wscn:Platen>"])
def test_what_is_missing_is_not_made_up(xml):
    assert all(offer == SourceOffer() for offer in configuration(xml).sources.values())


def test_lists_are_bounded():
    formats = "<wscn:FormatValue>a</wscn:FormatValue>" * 1000 + f"<wscn:FormatValue>{'x' * 1000}</wscn:FormatValue>"
    offered = configuration(f"<wscn:DeviceSettings><wscn:FormatsSupported>{formats}</wscn:FormatsSupported>"
                            "</wscn:DeviceSettings>")
    assert offered.formats == ("a",) * 256


@pytest.mark.parametrize("wanted", [
    DocumentParameters("jfif", "Platen", 1, "RGB24", 300, (8500, 11700)),
    DocumentParameters("x<&>", "ADF", 0, "y", None, None, True), DocumentParameters("png")])
def test_a_ticket_is_read_as_it_was_written(wanted):
    ticket = element(write_scan_ticket(wanted, job_name="a&b", user="u"))
    assert ticket.findtext("{*}JobDescription/{*}JobName") == "a&b"
    assert read_parameters(ticket.find("{*}DocumentParameters")) == wanted
    assert ticket.find(".//{*}MediaBack") is None


def test_the_back_of_a_page_is_scanned_as_its_front():
    ticket = element(write_scan_ticket(DocumentParameters("jfif", "ADFDuplex", 0, "RGB24", 300, (1, 2)),
                                       job_name="n", user="u"))
    front, back = (ticket.find(f".//{{*}}{side}") for side in ("MediaFront", "MediaBack"))
    assert [part.tag for part in front.iter()][1:] == [part.tag for part in back.iter()][1:]
    assert [part.text for part in front.iter()] == [part.text for part in back.iter()]


def test_elements_that_are_not_valid_are_not_there():
    assert "<wscn:Name>wscn:A</wscn:Name><wscn:Name>wscn:B</wscn:Name>" in write_elements_request("A", "B")
    data = ("<wscn:GetScannerElementsResponse><wscn:ScannerElements><wscn:ElementData wscn:Valid='0'><wscn:A/>"
            "</wscn:ElementData><wscn:ElementData Valid='true'><wscn:B/></wscn:ElementData></wscn:ScannerElements>"
            "</wscn:GetScannerElementsResponse>")
    assert list(read_elements(element(data))) == ["B"]
    assert read_elements(None) == {}
    assert read_elements(element("<wscn:Other/>")) == {}
