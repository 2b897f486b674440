"""Subnets: real clients find a scanner in another network through the gateway and scan, without configuration.

Run with `-m netns`, as root.
"""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.e2e.subnets import CLIENTS, GATEWAY, SCANNERS, namespaces, need
from wsdgateway.bridge.discovery.presence import derived_endpoint

pytestmark = pytest.mark.netns

UUID = "urn:uuid:4509a320-00a0-008f-00b6-002507510eca"
SCANNER = f'[[scanner]]\nname = "front-desk"\nuuid = "{UUID}"\n'
ENDPOINT = derived_endpoint(UUID)
ADMIN = "http://127.0.0.1:8357"
IPV6 = pytest.mark.parametrize("network", [True, False], ids=["IPv4 and IPv6", "IPv6 alone"], indirect=True)


def _need(*programs):
    need("curl dbus iproute2 sane-airscan sane-utils tcpdump wsdd", *programs)


@pytest.fixture
def network(request, tmp_path):
    """The namespaces, removed at the end; a traceback in a log fails the test."""
    _need("ip", "curl")
    with namespaces(tmp_path, ipv4=getattr(request, "param", True)) as made:
        yield made


@pytest.fixture
def airscan(network, tmp_path):
    """Runs a program of sane-airscan among the clients, with discovery on: `airscan("scanimage", …)`."""
    _need("scanimage", "airscan-discover", "dbus-daemon")
    folder = tmp_path / "sane.d"
    folder.mkdir()
    (folder / "dll.conf").write_text("airscan\n")
    (folder / "airscan.conf").write_text("[options]\nws-discovery = full\n")
    # airscan also asks Avahi, which does not run here; without a bus it would find nothing at all.
    address = f"unix:path={tmp_path}/bus"
    bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={address}"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    environment = {**os.environ, "SANE_CONFIG_DIR": str(folder), "SANE_DEBUG_AIRSCAN": "0",
                   "DBUS_SYSTEM_BUS_ADDRESS": address}

    def run(*command):
        return network.run(CLIENTS, *command, check=False, env=environment)

    yield run
    bus.terminate()
    bus.wait(60)


def scanners(network):
    """Returns what the admin API says of the gateway's scanners."""
    body = network.curl(GATEWAY, f"{ADMIN}/api/scanners")
    return json.loads(body) if body.startswith("[") else []


def found(airscan):
    """Returns the URLs that airscan-discover lists."""
    return re.findall(r"= (http\S+),", airscan("airscan-discover").stdout)


def scan(airscan, tmp_path, name, until):
    """Scans a page with the first device that scanimage finds: it may need a second search on a loaded machine."""
    device = until(lambda: airscan("scanimage", "-f", "%d%n").stdout.split("\n")[0])
    done = airscan("scanimage", "-d", device, "--format=jpeg", "--resolution=75", "-o", name)
    assert done.returncode == 0, done.stderr
    return (tmp_path / name).read_bytes()


def is_subscribed(network):
    return [one for one in scanners(network) if one["subscription"] == "subscribed"]


@IPV6
def test_a_client_of_another_subnet_finds_the_scanner_and_scans(network, airscan, tmp_path, until):
    network.scanner()
    network.gateway(SCANNER)
    until(lambda: is_subscribed(network))
    urls = until(lambda: found(airscan))
    hosts = rf"{'192.0.2.5' if network.ipv4 else re.escape('[fd00:a::5]')}|\[fe80::[0-9a-f:]+%\d+\]"
    assert all(re.fullmatch(rf"http://(?:{hosts}):5357/front-desk/scan", url) for url in urls)
    assert scan(airscan, tmp_path, "page.jpg", until).startswith(b"\xff\xd8")
    asked = json.loads(network.curl(SCANNERS, "http://[::1]:8018/control/"))["asked"]
    assert (asked["CreateScanJob"], asked["Subscribe"]) == (1, 1)


LIBRARY = """
from wsdiscovery import QName
from wsdiscovery.discovery import ThreadedWSDiscovery
device = QName("http://schemas.xmlsoap.org/ws/2006/02/devprof", "Device")
finder = ThreadedWSDiscovery()
finder.start()
for service in finder.searchServices(types=[device], timeout=4):
    print(service.getEPR(), *service.getXAddrs(), *(scope.getValue() for scope in service.getScopes()))
finder.stop()
"""


@IPV6
def test_wsdd_and_a_library_find_the_scanner(network, tmp_path, until):
    _need("wsdd")
    network.scanner(scopes=["ldap:///ou=floor3,o=acme"])
    network.gateway(SCANNER, suffix=" (gateway)")
    until(lambda: is_subscribed(network))
    wsdd = network.start(CLIENTS, "wsdd", "--discovery", "--no-host", "-i", "lan", "-vv", log="daemon")
    until(lambda: "discovered Copy Room (gateway) on" in wsdd.log.read_text())
    # The library keeps the last message, and a Hello has no addresses.
    listed = until(lambda: (lambda text: text if "http:" in text else "")(
        network.run(CLIENTS, sys.executable, "-c", LIBRARY).stdout))
    endpoint, xaddr, scope = listed.split()
    assert (endpoint, scope) == (ENDPOINT, "ldap:///ou=floor3,o=acme")
    host = r"192\.0\.2\.5" if network.ipv4 else r"\[f(e80:|d00:a):[0-9a-f:]+\]"
    assert re.fullmatch(rf"http://{host}:5357/front-desk", xaddr)


@pytest.mark.parametrize("first", ["wsdd", "gateway"])
def test_wsdd_runs_beside_the_gateway(network, airscan, until, first):
    """Both receive every Probe and answer it, whichever has bound the port first. wsdd listens at TCP port 5357."""
    _need("wsdd")
    starts = [lambda: network.start(GATEWAY, "wsdd", "-i", "lan", "-n", "beside", "-w", "home", log="daemon"),
              lambda: network.gateway(SCANNER, port=5358)]
    network.scanner()
    for start in starts if first == "wsdd" else reversed(starts):
        start()
        until(lambda: network.run(GATEWAY, "ss", "-uln", check=False).stdout.count("239.255.255.250") >= 1)
    until(lambda: is_subscribed(network))
    client = network.start(CLIENTS, "wsdd", "--discovery", "--no-host", "-i", "lan", "-vv", log="daemon")
    until(lambda: "discovered Copy Room on" in client.log.read_text())
    until(lambda: "discovered BESIDE in Workgroup:HOME" in client.log.read_text())
    assert until(lambda: found(airscan))


@pytest.mark.parametrize("bye", [True, False], ids=["with Bye", "without"])
def test_the_scanner_stops_and_returns_at_another_address(network, airscan, tmp_path, until, bye):
    scanner = network.scanner()
    network.gateway(SCANNER, search=2.0)
    until(lambda: is_subscribed(network))
    first = scan(airscan, tmp_path, "first.jpg", until)
    network.end(scanner, kill=not bye)
    until(lambda: [one["announced"] for one in scanners(network)] == [False])
    assert not found(airscan)
    network.run(SCANNERS, "ip", "address", "del", "198.51.100.20/24", "dev", "vlan")
    network.run(SCANNERS, "ip", "address", "add", "198.51.100.99/24", "dev", "vlan")
    network.scanner()
    until(lambda: [one for one in is_subscribed(network)
                   if "198.51.100.20" not in one["scan"] and one["announced"]])
    assert scan(airscan, tmp_path, "second.jpg", until) == first


def test_addresses_change_at_run_time(network, airscan, tmp_path, until):
    network.scanner(endpoint="tcp:8018")
    network.gateway(SCANNER, search=2.0)
    until(lambda: is_subscribed(network))
    network.run(SCANNERS, "ip", "address", "add", "198.51.100.99/24", "dev", "vlan")
    network.run(SCANNERS, "ip", "address", "del", "198.51.100.20/24", "dev", "vlan")
    # Removing the first address of a subnet removes its other addresses, too.
    network.run(SCANNERS, "ip", "address", "replace", "198.51.100.99/24", "dev", "vlan")
    until(lambda: [one for one in scanners(network) if "198.51.100.99" in (one["scan"] or "")])
    network.run(GATEWAY, "ip", "address", "add", "192.0.2.6/24", "dev", "lan")
    network.run(GATEWAY, "ip", "address", "del", "192.0.2.5/24", "dev", "lan")
    network.run(GATEWAY, "ip", "address", "replace", "192.0.2.6/24", "dev", "lan")
    until(lambda: [url for url in found(airscan) if "192.0.2.6" in url])
    assert scan(airscan, tmp_path, "page.jpg", until).startswith(b"\xff\xd8")


def test_adopted_scanners_keep_their_names(network, airscan, until):
    network.scanner()
    network.scanner("second", endpoint="tcp6:8019", uuid="37f86d35-e6ac-4241-964f-1d9ae46fb366", name="Büro 3")
    network.scanner("third", endpoint="tcp6:8020", uuid="47f86d35-e6ac-4241-964f-1d9ae46fb366", name="Not this one")
    gateway = network.gateway("", adopt=True, exclude=["not this*"])
    names = {"copy-room", "buro-3"}
    until(lambda: {one["name"] for one in is_subscribed(network)} == names)
    until(lambda: len(found(airscan)) == 4)
    network.end(gateway)
    assert not found(airscan)
    network.gateway("", adopt=True, exclude=["not this*"])
    until(lambda: {one["name"] for one in is_subscribed(network)} == names)
    text = json.loads(network.curl(SCANNERS, "http://[::1]:8018/control/"))
    assert text["subscriptions"] == 1


def test_messages_stay_on_their_side(network, tmp_path, until):
    """Announcements go only to clients, queries only to scanners."""
    _need("tcpdump")
    captures = {link: network.start(GATEWAY, "tcpdump", "-A", "-n", "-i", link, "-l", "udp", "port", "3702",
                                    log=link) for link in ("lan", "vlan")}
    until(lambda: all("listening on" in capture.log.read_text(errors="replace") for capture in captures.values()))
    network.scanner()
    gateway = network.gateway(SCANNER)
    until(lambda: is_subscribed(network))
    until(lambda: "/discovery/Hello" in captures["lan"].log.read_text(errors="replace"))
    network.end(gateway)
    until(lambda: "/discovery/Bye" in captures["lan"].log.read_text(errors="replace"))
    lan, vlan = (captures[link].log.read_text(errors="replace") for link in ("lan", "vlan"))
    assert "/discovery/Probe" not in lan
    assert "/discovery/Resolve" not in lan
    assert ENDPOINT.removeprefix("urn:uuid:") not in vlan
    assert "XAddrs" not in lan
