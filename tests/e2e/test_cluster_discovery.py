"""Two gateways on the clients' subnet: real clients find the scanner once, before and after a takeover.

Run with `-m netns`, as root.
"""

import re
import subprocess
import sys

import pytest

from tests.e2e.movingaddress import ADDRESSES, GATEWAYS, MIDDLE, SCANNER, moving_address
from tests.e2e.subnets import need
from tests.e2e.test_subnets import LIBRARY
from tests.redisserver import skip_without_redis
from wsdgateway.bridge.discovery.presence import derived_endpoint

pytestmark = pytest.mark.netns

REDIS, PORT, NAME = 6379, 5357, "front-desk"
FIRST, SECOND = GATEWAYS.items()


@pytest.fixture
def network(tmp_path):
    """The namespaces, with two gateways of which each has its own address, and the first owns the scanner."""
    skip_without_redis()
    need("curl dbus iproute2 sane-airscan", "ip", "curl", "airscan-discover", "dbus-daemon")
    with moving_address(tmp_path) as made:
        (tmp_path / f"{SCANNER}.toml").write_text(
            f'[scanner]\nendpoint = "tcp:80:interface={ADDRESSES[SCANNER]}"\nname = "Copy Room"\nstamp = "the same"\n')
        for name, address in GATEWAYS.items():
            (tmp_path / f"{name}.toml").write_text(
                f'[gateway]\nname = "{name}"\nstate = "redis://{ADDRESSES[MIDDLE]}:{REDIS}/0"\n'
                f'[[listen]]\nendpoint = "tcp:{PORT}"\n'
                f'[[scanner]]\nname = "{NAME}"\nscan = "http://{ADDRESSES[SCANNER]}/WDP/SCAN"\n'
                f'[discovery]\nclient_interfaces = ["lan"]\n'
                f'[cluster]\nendpoint = "tcp:5360:interface={address}"\n'
                '[admin]\nendpoint = "tcp:8357:interface=127.0.0.1"\n')
        yield made


@pytest.fixture
def airscan(network, tmp_path):
    """Returns a function that returns the URLs of the scanners that airscan-discover lists."""
    folder = tmp_path / "sane.d"
    folder.mkdir()
    (folder / "dll.conf").write_text("airscan\n")
    (folder / "airscan.conf").write_text("[options]\nws-discovery = full\n")
    # airscan also asks Avahi, which does not run here; without a bus it would find nothing at all.
    bus = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address=unix:path={tmp_path}/bus"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield lambda: re.findall(r"= (http\S+),", network.run(
        MIDDLE, "env", f"SANE_CONFIG_DIR={folder}", "SANE_DEBUG_AIRSCAN=0",
        f"DBUS_SYSTEM_BUS_ADDRESS=unix:path={tmp_path}/bus", "airscan-discover"))
    bus.terminate()
    bus.wait(60)


def matched(network):
    """Endpoint and addresses of each scanner that a library finds, whose last message about it was a match."""
    found = [line.split() for line in network.run(MIDDLE, sys.executable, "-c", LIBRARY).splitlines()]
    return {endpoint: addresses for endpoint, *addresses in found if addresses}


def addresses(*gateways):
    return [f"http://{address}:{PORT}/{NAME}" for _, address in gateways]


def test_the_scanner_is_found_once(network, airscan, until):
    network.start(MIDDLE, "redis-server", "--port", str(REDIS), "--save", "", "--protected-mode", "no")
    network.twistd(SCANNER, "wsdscanner")
    first = network.twistd(FIRST[0], "wsdgateway")
    until(lambda: 'state="owning"} 1' in network.curl(FIRST[0], "http://127.0.0.1:8357/metrics"))
    network.twistd(SECOND[0], "wsdgateway")
    until(lambda: 'state="following"} 1' in network.curl(SECOND[0], "http://127.0.0.1:8357/metrics"))
    endpoint = derived_endpoint(NAME)
    until(lambda: matched(network) == {endpoint: addresses(FIRST, SECOND)})
    before = until(airscan)
    first.kill()
    until(lambda: 'state="owning"} 1' in network.curl(SECOND[0], "http://127.0.0.1:8357/metrics"))
    until(lambda: matched(network) == {endpoint: addresses(SECOND)})
    after = until(airscan)
    # It asks for the metadata at each address, and shows the one that answers first.
    assert before in [[f"{address}/scan"] for address in addresses(FIRST, SECOND)]
    assert after == [f"{addresses(SECOND)[0]}/scan"]
