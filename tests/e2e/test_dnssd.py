"""DNS-SD in a network of namespaces: Avahi and sane-airscan find what is announced, and scanners hear nothing of it.

Run with `-m netns`, as root. Beside the gateway an avahi-daemon runs on the interfaces of both sides.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.avahi import Avahi
from tests.e2e.conftest import ROOT
from tests.e2e.subnets import CLIENTS, GATEWAY, SCANNERS, namespaces, need

pytestmark = pytest.mark.netns

NAMES = ("Front Desk", "HP 4.5 Dr. X", "Büro")


@pytest.fixture
def network(tmp_path):
    """The namespaces, with IPv4 and link-local IPv6; a traceback in a log fails the test."""
    need("avahi-daemon avahi-utils dbus iproute2", "ip", "avahi-daemon", "avahi-browse", "dbus-daemon")
    with namespaces(tmp_path) as made:
        yield made


@pytest.fixture
def clients(network, until):
    """Avahi among the clients."""
    return Avahi(network, CLIENTS, "lan").start(until)


@pytest.fixture
def announce(network, until):
    """Starts a program that announces scanners: `announce("Front Desk", …)`; returns when all are announced."""

    def run(*names, place=GATEWAY, interface="lan"):
        process = network.start(place, "env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.e2e.announcing",
                                interface, place, *names, log="announcing", stdin=subprocess.PIPE)
        until(lambda: process.log.read_text().count("announced") >= len(names))
        return process

    return run


def publish(network, avahi, name, *txt):
    """Another host announces a scanner, until its process ends."""
    return network.start(avahi.place, "env", f"DBUS_SYSTEM_BUS_ADDRESS={avahi.bus}", "avahi-publish", "-s", name,
                         "_uscan._tcp", "9999", *txt, log="publish")


def link_local(network, place, interface):
    shown = network.run(place, "ip", "-6", "-brief", "address", "show", "dev", interface, "scope", "link").stdout
    return re.search(r"fe80::[0-9a-f:]+", shown)[0]


def test_three_scanners_are_found_and_go_with_a_goodbye(network, clients, announce, until):
    Avahi(network, GATEWAY, "lan", "vlan").start(until)
    process = announce(*NAMES)
    found = until(lambda: (lines := clients.browse()) and len(lines) == 6 and lines)
    assert {(one.name, one.version) for one in found} == {(name, version) for name in NAMES for version in (4, 6)}
    host, = {one.host for one in found}
    assert re.fullmatch(r"wsdgw-[0-9a-f]{12}\.local", host)
    desk = next(one for one in found if one.name == "Front Desk")
    assert (desk.port, desk.txt[::-1]) == (8400, (
        "txtvers=1", "rs=eSCL", "ty=Model of Front Desk", "uuid=00000000-0000-0000-0000-000000000000",
        "pdl=application/pdf,image/jpeg", "cs=grayscale,color", "is=platen,adf", "duplex=F",
        "adminurl=http://192.0.2.5:8400/"))
    for version, address in (("-4", "192.0.2.5"), ("-6", link_local(network, GATEWAY, "lan"))):
        said = until(lambda version=version: clients.run("avahi-resolve", version, "-n", host).stdout)
        assert said.split() == [host, address]

    def toggle():
        process.stdin.write("Büro\n".encode())
        process.stdin.flush()

    # Without a goodbye Avahi would list them for 75 minutes.
    toggle()
    until(lambda: clients.names() == {"Front Desk", "HP 4.5 Dr. X"})
    toggle()
    until(lambda: clients.names() == set(NAMES))
    network.end(process)
    until(lambda: not clients.names())
    assert "stopped" in process.log.read_text()


def test_a_name_of_another_host_gets_a_number_and_is_kept(network, clients, announce, until):
    publish(network, clients, "Front Desk", "uuid=ABC")
    until(lambda: clients.names() == {"Front Desk"})
    process = announce("Front Desk", "Hall")
    until(lambda: clients.names() == {"Front Desk", "Front Desk (2)", "Hall"})
    # The other way round, Avahi gives way.
    publish(network, clients, "Hall")
    until(lambda: clients.names() == {"Front Desk", "Front Desk (2)", "Hall", "Hall #2"})
    assert "conflict Front Desk\n" in process.log.read_text()


def test_addresses_follow_the_interface(network, clients, announce, until):
    announce("Front Desk")
    host = until(clients.browse)[0].host
    for command in (("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/lan/promote_secondaries"),
                    ("ip", "address", "add", "192.0.2.9/24", "dev", "lan"),
                    ("ip", "address", "delete", "192.0.2.5/24", "dev", "lan")):
        network.run(GATEWAY, *command)
    until(lambda: clients.run("avahi-resolve", "-4", "-n", host).stdout.split() == [host, "192.0.2.9"])
    # Avahi keeps the former TXT record for a second.
    until(lambda: {one.txt[0] for one in clients.browse()} == {"adminurl=http://192.0.2.9:8400/"})


def test_two_gateways_that_start_together_get_different_names(network, clients, announce, until):
    processes = [announce("Front Desk", place=GATEWAY), announce("Front Desk", place=CLIENTS)]
    until(lambda: clients.names() == {"Front Desk", "Front Desk (2)"})
    assert sorted(process.log.read_text().count("announced Front Desk (2)") for process in processes) == [0, 1]


def test_scanners_of_others_are_noticed_until_they_go(network, clients, announce, until):
    other = publish(network, clients, "Canon", "rs=eSCL", "uuid=ABC")
    process = announce("Front Desk")
    address = link_local(network, CLIENTS, "lan")
    until(lambda: f"others Canon abc 192.0.2.77 {address}\n" in process.log.read_text())
    network.end(other)
    until(lambda: process.log.read_text().endswith("others\n"))
    assert "others Front Desk" not in process.log.read_text()


def test_scanners_hear_nothing(network, announce, until):
    program = Path(__file__).with_name("mdnsquestions.py")
    process = announce(*NAMES)
    # Without Avahi, nobody has joined the groups on the scanners' side, or on loopback.
    for interface in ("vlan", "lo"):
        joined = network.run(GATEWAY, "ip", "maddress", "show", "dev", interface).stdout
        assert "224.0.0.251" not in joined and "ff02::fb" not in joined
    avahi = Avahi(network, GATEWAY, "lan", "vlan").start(until)
    until(lambda: avahi.names() == set(NAMES))
    questions = network.run(SCANNERS, sys.executable, str(program), "vlan", "198.51.100.5",
                            link_local(network, GATEWAY, "vlan"))
    assert questions.stdout == "end\n"
    answered, address = set(), link_local(network, GATEWAY, "lan")

    def all_are_answered():  # a loaded machine may be too late for the first time
        answered.update(network.run(CLIENTS, sys.executable, str(program), "lan").stdout.splitlines())
        return {f"{way} {sender}" for way in ("QM", "QU", "legacy") for sender in ("4 192.0.2.5", f"6 {address}")
                } <= answered

    until(all_are_answered)
    assert process.poll() is None


def test_the_clients_of_sane_find_it(network, clients, announce, until, tmp_path):
    need("sane-airscan", "airscan-discover")
    announce(*NAMES)
    until(lambda: clients.names() == set(NAMES))
    folder = tmp_path / "sane.d"
    folder.mkdir()
    (folder / "airscan.conf").write_text("[options]\nws-discovery = off\n")
    wanted = [f"{name} = http://192.0.2.5:{8400 + number}/eSCL/, eSCL" for number, name in enumerate(NAMES)]

    def are_found():  # it waits for a few seconds only, which a loaded machine may exceed
        found = clients.run("airscan-discover", SANE_CONFIG_DIR=str(folder), SANE_DEBUG_AIRSCAN="0",
                            HOME=os.environ.get("HOME", "/")).stdout
        return all(line in found for line in wanted)

    until(are_found)
