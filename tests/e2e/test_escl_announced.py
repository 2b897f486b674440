"""eSCL in a network of namespaces: clients find the gateway's scanners by DNS-SD, and scanners hear nothing of it.

Run with `-m netns`, as root. An avahi-daemon runs among the clients.
"""

import json
import os
import signal

import pytest

from tests.certificates import Certified
from tests.e2e.avahi import Avahi
from tests.e2e.subnets import CLIENTS, GATEWAY, SCANNERS, namespaces, need

pytestmark = pytest.mark.netns

UUIDS = {"front-desk": "4509a320-00a0-008f-00b6-002507510eca", "copy-room": "37f86d35-e6ac-4241-964f-1d9ae46fb366",
         "archive": "16a65700-007c-1000-bb49-30055c8a9f21"}


def sections(*names):
    return "".join(f'[[scanner]]\nname = "{name}"\nuuid = "urn:uuid:{UUIDS[name]}"\n' for name in names)


ADMIN = "http://127.0.0.1:8357"


@pytest.fixture
def network(tmp_path):
    """The namespaces, with IPv4 and link-local IPv6; a traceback in a log fails the test."""
    needed = ("ip", "curl", "tcpdump", "avahi-daemon", "avahi-browse", "dbus-daemon", "airscan-discover", "scanimage")
    need("avahi-daemon avahi-utils curl dbus iproute2 sane-airscan sane-utils tcpdump", *needed)
    with namespaces(tmp_path) as made:
        yield made


@pytest.fixture
def clients(network, until):
    """Avahi among the clients."""
    return Avahi(network, CLIENTS, "lan").start(until)


def start(network, scanner, port, name):
    """Starts one of the virtual scanners, with this FriendlyName."""
    return network.scanner(scanner, endpoint=f"tcp6:{port}", uuid=UUIDS[scanner], name=name)


def gateway(network, escl="", scanners=("front-desk", "copy-room")):
    return network.gateway(f"[escl]\n{escl}{sections(*scanners)}", search=2.0)


def announced(network):
    """Returns what the admin API says of the announcements, by scanner."""
    body = network.curl(GATEWAY, f"{ADMIN}/api/scanners")
    return {one["name"]: one["escl_announced"] for one in json.loads(body)} if body.startswith("[") else {}


def test_three_scanners_are_found_and_go_with_a_goodbye(network, clients, until, tmp_path):
    capture = network.start(SCANNERS, "tcpdump", "-n", "-i", "vlan", "-l", "udp", "port", "5353", log="vlan")
    until(lambda: "listening on" in capture.log.read_text(errors="replace"))
    first = start(network, "front-desk", 8018, "Front Desk")
    start(network, "copy-room", 8019, "Copy Room")
    start(network, "archive", 8020, "Archive")
    process = gateway(network, scanners=UUIDS)
    names = {"Front Desk", "Copy Room", "Archive"}
    until(lambda: clients.names() == names)
    found = until(lambda: (lines := clients.browse()) and len(lines) == 6 and lines)
    assert {(one.name, one.version) for one in found} == {(name, version) for name in names for version in (4, 6)}
    for one in found:
        answer = network.curl(CLIENTS, f"http://192.0.2.5:{one.port}/eSCL/ScannerCapabilities")
        txt = dict(text.split("=", 1) for text in one.txt)
        assert f">{txt['uuid']}<" in answer
        assert (txt["rs"], txt["is"], txt["duplex"]) == ("eSCL", "platen,adf", "T")
        assert txt["adminurl"].startswith("http://192.0.2.5:5357/")
        # By the name that is announced, as macOS asks.
        assert network.curl(CLIENTS, f"http://192.0.2.5:{one.port}/eSCL/ScannerStatus", "-w", "%{http_code}", "-o",
                            "/dev/null", "-H", f"Host: {one.host}:{one.port}") == "200"
    assert announced(network) == {
        "front-desk": [{"interface": "lan", "name": "Front Desk", "reason": None}],
        "copy-room": [{"interface": "lan", "name": "Copy Room", "reason": None}],
        "archive": [{"interface": "lan", "name": "Archive", "reason": None}]}

    folder = tmp_path / "sane.d"
    folder.mkdir()
    (folder / "dll.conf").write_text("airscan\n")
    (folder / "airscan.conf").write_text("[options]\nws-discovery = full\n")
    environment = {"SANE_CONFIG_DIR": str(folder), "SANE_DEBUG_AIRSCAN": "0", "HOME": os.environ.get("HOME", "/")}
    wanted = [f"{one.name} = http://192.0.2.5:{one.port}/eSCL/, eSCL" for one in found]

    def are_listed():  # sane-airscan waits for a few seconds only, which a loaded machine may exceed
        listed = clients.run("airscan-discover", **environment).stdout
        return all(line in listed for line in wanted)

    until(are_listed)
    devices = until(lambda: (said := clients.run("scanimage", "-L", **environment).stdout).count("is a eSCL ") == 3
                    and said)
    assert "WSD" not in devices, devices

    # Without a goodbye, Avahi would list it for 75 minutes.
    network.end(first)
    until(lambda: clients.names() == names - {"Front Desk"})
    assert announced(network)["front-desk"] == [
        {"interface": "lan", "name": None, "reason": "the scanner is not there, or not known yet"}]
    start(network, "front-desk", 8018, "Front Desk")
    until(lambda: clients.names() == names)
    network.end(process)
    until(lambda: not clients.names())
    network.end(capture)
    assert "\n0 packets captured" in capture.log.read_text(errors="replace")


def test_a_scanner_that_another_host_announces_is_left_out_there(network, clients, until):
    start(network, "front-desk", 8018, "Desk")
    start(network, "copy-room", 8019, "Desk")
    process = gateway(network)
    until(lambda: clients.names() == {"Desk (front-desk)", "Desk (copy-room)"})
    own = network.start(CLIENTS, "env", f"DBUS_SYSTEM_BUS_ADDRESS={clients.bus}", "avahi-publish", "-s", "Own eSCL",
                        "_uscan._tcp", "9999", "rs=eSCL", f"uuid={UUIDS['front-desk'].upper()}", log="publish")
    until(lambda: clients.names() == {"Desk (copy-room)", "Own eSCL"})
    text = "another host announces the scanner there, as Own eSCL"
    assert announced(network)["front-desk"] == [{"interface": "lan", "name": None, "reason": text}]
    assert process.log.read_text().count(f"front-desk: not announced to eSCL clients on lan: {text}") == 1
    network.end(own)
    until(lambda: clients.names() == {"Desk (front-desk)", "Desk (copy-room)"})


def test_a_reload_switches_announcement_off_and_on(network, clients, until):
    start(network, "front-desk", 8018, "Desk")
    process = gateway(network)
    until(lambda: clients.names() == {"Desk"})
    file = network.folder / "gateway.toml"
    text = file.read_text()
    file.write_text(text.replace("[escl]\n", "[escl]\nannounce = false\n"))
    process.send_signal(signal.SIGHUP)
    until(lambda: not clients.names())
    assert announced(network)["front-desk"] == [
        {"interface": "lan", "name": None, "reason": "[escl] announce is false"}]
    file.write_text(text)
    process.send_signal(signal.SIGHUP)
    until(lambda: clients.names() == {"Desk"})
    assert "restart" not in process.log.read_text()


def test_with_a_certificate_both_services_have_one_name(network, clients, until, tmp_path):
    certified = Certified(tmp_path, "server", "192.0.2.5")
    start(network, "front-desk", 8018, "Desk")
    gateway(network, f'certificate = "{certified.pem}"\nkey = "{certified.key}"\n')
    until(lambda: clients.names("_uscans._tcp") == clients.names() == {"Desk"})
    [plain, *_], [secure, *_] = until(lambda: (found := [clients.browse(), clients.browse("_uscans._tcp")]) and all(
        found) and found)
    assert plain.port != secure.port and plain.host == secure.host
    texts = [dict(text.split("=", 1) for text in one.txt) for one in (plain, secure)]
    assert texts[0].pop("representation").startswith("http://192.0.2.5:8400/eSCL/icon.png")
    assert texts[1].pop("representation") == f"https://192.0.2.5:{secure.port}/eSCL/icon.png"
    assert texts[0] == texts[1]
    icon = network.curl(CLIENTS, f"https://192.0.2.5:{secure.port}/eSCL/icon.png", "--cacert", str(certified.pem), "-o",
                        "/dev/null", "-w", "%{http_code} %{content_type}")
    assert icon == "200 image/png"


def test_an_address_that_the_interface_gets_later(network, clients, until):
    start(network, "front-desk", 8018, "Desk")
    gateway(network)
    until(lambda: clients.names() == {"Desk"})
    [port] = {one.port for one in until(clients.browse)}
    address = f"http://192.0.2.6:{port}/eSCL/ScannerStatus"
    assert not network.curl(CLIENTS, address)
    network.run(GATEWAY, "ip", "address", "add", "192.0.2.6/24", "dev", "lan")
    until(lambda: "<pwg:State>Idle<" in network.curl(CLIENTS, address))


def test_a_scanner_that_is_off_is_announced_after_a_restart_of_the_gateway(network, clients, until):
    first = start(network, "front-desk", 8018, "Front Desk")
    process = gateway(network)
    until(lambda: clients.names() == {"Front Desk"})
    [port] = {one.port for one in until(clients.browse)}
    root = f"http://192.0.2.5:{port}/eSCL"
    known = until(lambda: network.curl(CLIENTS, f"{root}/ScannerCapabilities"))
    network.end(process)
    network.end(first)
    until(lambda: not clients.names())
    gateway(network)
    until(lambda: clients.names() == {"Front Desk"})
    assert network.curl(CLIENTS, f"{root}/ScannerCapabilities") == known
    until(lambda: "<pwg:State>Down<" in network.curl(CLIENTS, f"{root}/ScannerStatus"))
    again = start(network, "front-desk", 8018, "Front Desk")
    until(lambda: "<pwg:State>Idle<" in network.curl(CLIENTS, f"{root}/ScannerStatus"))
    assert clients.names() == {"Front Desk"}
    network.end(again)
    until(lambda: not clients.names())
