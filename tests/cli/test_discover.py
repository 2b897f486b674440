"""`wsdgateway discover`: the messages about a search and about its result."""

import shlex
import tomllib
from io import StringIO

import attrs
import pytest
from rich.console import Console

from tests.certificates import PIN
from wsdgateway.bridge.discovery.candidates import ScanDevice
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.cli.discover import DiscoverError, choose_addresses, choose_interfaces, describe_search, scan_line, show
from wsdgateway.metadata.messages import Labels
from wsdgateway.net.discovery.survey import Surveyed
from wsdgateway.net.transport.interfaces import read_interfaces


@pytest.mark.parametrize(("interfaces", "addresses", "line"), [
    (("eth0", "eth1"), (), "searching on eth0, eth1 for 5 s"),
    ((), ("http://192.0.2.9",), "querying http://192.0.2.9 for up to 5 s"),
    (("eth0",), ("http://192.0.2.9",), "searching on eth0 and querying http://192.0.2.9 for 5 s"),
    ((), (), "nothing to search: there is no network interface except loopback")])
def test_interfaces_are_searched_and_addresses_are_queried(interfaces, addresses, line):
    assert describe_search(interfaces, addresses, 5.0) == line


def test_the_message_about_no_scanner_is_one_line():
    written = StringIO()
    show([], toml=False, console=Console(file=StringIO()), progress=Console(file=written, width=40))
    assert written.getvalue() == (
        "No scanner was found. To query a scanner that ignores multicast, use --address ADDRESS\n")


def test_a_wrong_address_is_named_alone():
    with pytest.raises(DiscoverError) as caught:
        choose_addresses(["198.51.100.20", "ftp://x"])
    assert str(caught.value) == (
        "--address ftp://x: must be HOST, HOST:PORT or an http:// or https:// URL, such as 198.51.100.20")
    assert choose_addresses(["198.51.100.20:81", "https://x/"]) == ("http://198.51.100.20:81", "https://x/")


def surveyed(name, scan, *, via="eth1", is_stand_in=False, notifies=None, pin=None):
    device = ScanDevice(Labels(name, "Acme", "3000"), "http://198.51.100.20/d", scan, is_stand_in)
    return Surveyed(Sighting(f"urn:uuid:{name}", (), (), ("http://198.51.100.20/d",), 1, None, via, 0.0), device,
                    notifies, pin)


def printed(found, **options):
    out, said = StringIO(), StringIO()
    show(found, console=Console(file=out, width=300), progress=Console(file=said, width=300), **options)
    return out.getvalue(), said.getvalue()


SCANNER = surveyed("Copy room", "http://198.51.100.20/scan", notifies=True)
STAND_IN = surveyed("A stand-in", "http://192.0.2.5:5357/copy-room/scan", is_stand_in=True)


def test_stand_ins_come_last_and_are_marked():
    table, _ = printed([STAND_IN, SCANNER], toml=False, events=True)
    scanner, stand_in = [line for line in table.splitlines() if "urn:uuid" in line]
    assert scanner.startswith("Copy room  ") and scanner.split()[-1] == "yes"
    assert stand_in.startswith("A stand-in (stand-in of a gateway)  ") and stand_in.endswith("not asked")


def test_without_events_nothing_is_said_about_them():
    table, _ = printed([SCANNER], toml=False)
    assert "Notifies" not in table and "unknown" not in table


def test_each_scanner_has_a_line_to_copy():
    table, _ = printed([STAND_IN, SCANNER, SCANNER], toml=False)
    lines = [shlex.split(line) for line in table.splitlines() if line.startswith("    ")]
    assert [line[-4:] for line in lines] == [
        ["scan", "http://198.51.100.20/scan", "-o", "copy-room.pdf"],
        ["scan", "http://198.51.100.20/scan", "-o", "copy-room-c.pdf"],
        ["scan", "http://192.0.2.5:5357/copy-room/scan", "-o", "a-stand-in.pdf"]]


@pytest.mark.parametrize(("one", "end"), [
    (surveyed("A", "https://198.51.100.20/scan", pin=PIN), f"https://198.51.100.20/scan -o a.pdf --pin {PIN}"),
    (surveyed("A", "http://[fe80::1]:80/scan"), "'http://[fe80::1%eth1]:80/scan' -o a.pdf"),
    (surveyed("A", "http://[2001:db8::1]/scan"), "'http://[2001:db8::1]/scan' -o a.pdf"),
    (surveyed("A", "http://192.0.2.5/$(reboot)\x1b"), "'http://192.0.2.5/$(reboot)�' -o a.pdf")])
def test_the_line_to_copy_is_safe_and_leads_to_the_scanner(one, end):
    assert scan_line(one, set()).partition(" scan ")[2] == end


@pytest.mark.parametrize("text", ["\x9b31m", "\u202e", "\x7f", '"\\\n', "\U0001f5a8\U000e0001"])
def test_a_section_is_toml_without_control_characters(text):
    device = f"http://198.51.100.20/{text}"
    one = attrs.evolve(SCANNER, sighting=attrs.evolve(SCANNER.sighting, endpoint=text, via=""),
                       found=attrs.evolve(SCANNER.found, device=device))
    toml, _ = printed([one], toml=True)
    assert toml.replace("\n", "").isprintable()
    assert tomllib.loads(toml)["scanner"] == [{"name": "copy-room", "device": device}]


def test_stand_ins_need_no_section():
    toml, said = printed([STAND_IN], toml=True)
    assert toml == ""
    assert said == "Only stand-ins of gateways were found; they need no section\n"


def test_an_unknown_interface_is_an_error_that_names_the_existing_ones():
    with pytest.raises(DiscoverError) as caught:
        choose_interfaces(["lo", "nonsense0"])
    assert str(caught.value).startswith("--interface nonsense0: must be ")
    assert str(caught.value).endswith(f": {', '.join(read_interfaces())}")
