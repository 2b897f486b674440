"""eSCL in a network of namespaces: clients find the gateway's scanner by DNS-SD and scan, and it goes with the gateway.

Run with `-m netns`, as root.
"""

import re
from pathlib import Path

import pytest

from tests.e2e.avahi import Avahi
from tests.e2e.subnets import CLIENTS, SCANNERS, namespaces, need

pytestmark = pytest.mark.netns

UUID = "urn:uuid:4509a320-00a0-008f-00b6-002507510eca"
SCANNER = f'[[scanner]]\nname = "front-desk"\nuuid = "{UUID}"\n[escl]\n'


@pytest.fixture
def network(tmp_path):
    """The namespaces, with IPv4 and link-local IPv6; a traceback in a log fails the test."""
    need("avahi-daemon avahi-utils dbus iproute2 sane-utils sane-airscan",
         "ip", "avahi-daemon", "avahi-browse", "dbus-daemon", "scanimage")
    with namespaces(tmp_path) as made:
        yield made


def test_the_scanner_is_found_scans_and_goes_with_the_gateway(network, until, tmp_path):
    clients = Avahi(network, CLIENTS, "lan").start(until)
    silent = Avahi(network, SCANNERS, "vlan").start(until)
    network.scanner(page_seconds=0.0)
    gateway = network.gateway(SCANNER)
    found = until(lambda: (lines := clients.browse()) and len(lines) == 2 and lines)
    assert {(one.name, one.port, one.version) for one in found} == {("Copy Room", 8400, 4), ("Copy Room", 8400, 6)}
    assert {"rs=eSCL", "is=platen,adf", "duplex=T", "cs=binary,grayscale,color"} <= set(found[0].txt)
    assert not silent.names()
    # Clients name the host as it is announced.
    page = network.curl(CLIENTS, "http://192.0.2.5:8400/eSCL/ScannerStatus", "-H", f"Host: {found[0].host}.:8400")
    assert "<pwg:State>Idle</pwg:State>" in page
    # Before sane-airscan: this backend does not wait for the addresses of scanners that Avahi knows already. It lists
    # the address that it gets first, and cannot open one of IPv6.
    other = Path(tmp_path, "escl.d")
    other.mkdir()
    (other / "dll.conf").write_text("escl\n")
    (other / "escl.conf").write_text("# the backend needs this file\n")
    listed = until(lambda: clients.run("env", f"SANE_CONFIG_DIR={other}", "scanimage", "-f", "%d%n").stdout)
    assert re.fullmatch(r"escl:http://(192\.0\.2\.5|\[fe80::[0-9a-f:]+]):8400\n", listed), listed
    folder = Path(tmp_path, "sane.d")
    folder.mkdir()
    (folder / "dll.conf").write_text("airscan\n")
    (folder / "airscan.conf").write_text("[options]\nws-discovery = off\n")
    [device] = until(lambda: [line for line in clients.run(
        "env", f"SANE_CONFIG_DIR={folder}", "scanimage", "-f", "%d%n").stdout.splitlines() if "Copy Room" in line][:1])
    done = clients.run("env", f"SANE_CONFIG_DIR={folder}", "scanimage", "-d", device, "--resolution=75",
                       "--format=png", "-o", "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG"), done
    assert network.run(SCANNERS, "curl", "-s", "-m", "2", "http://198.51.100.5:8400/eSCL/ScannerStatus",
                       check=False).returncode != 0
    network.end(gateway)
    until(lambda: not clients.names())
