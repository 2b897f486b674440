"""Two gateways on the clients' subnet: real clients find the scanner once, before and after a takeover.

Run with `-m netns`, as root.
"""

import re
import subprocess
import sys

import pytest

from tests.cluster.namespaces import SWITCH, Namespaces
from tests.e2e.conftest import program
from tests.e2e.subnets import need
from tests.e2e.test_subnets import LIBRARY
from tests.redisserver import skip_without_redis
from wsdgateway.bridge.discovery.presence import derived_endpoint

pytestmark = pytest.mark.netns

REDIS, PORT, NAME = "198.51.100.1:6379", 5357, "front-desk"  # Redis and the clients are at the switch
GATEWAYS = {"gw-a": "198.51.100.5", "gw-b": "198.51.100.6"}
FIRST, SECOND = GATEWAYS.items()
SCANNER, SCANNER_ADDRESS = "scanner", "198.51.100.20"


class Network(Namespaces):
    """Two gateways with an address of their own each, and a scanner, on one link."""

    def __init__(self, folder):
        super().__init__(folder, {host: {"lan": address} for host, address in (
            *GATEWAYS.items(), (SCANNER, SCANNER_ADDRESS))})

    def configure(self):
        """Writes the configuration of each host."""
        (self.folder / f"{SCANNER}.toml").write_text(
            f'[scanner]\nendpoint = "tcp:80:interface={SCANNER_ADDRESS}"\nname = "Copy Room"\nstamp = "the same"\n')
        for name, address in GATEWAYS.items():
            (self.folder / f"{name}.toml").write_text(
                f'[gateway]\nname = "{name}"\nstate = "redis://{REDIS}/0"\n'
                f'[[listen]]\nendpoint = "tcp:{PORT}"\n'
                f'[[scanner]]\nname = "{NAME}"\nscan = "http://{SCANNER_ADDRESS}/WDP/SCAN"\n'
                f'[discovery]\nclient_interfaces = ["lan"]\n'
                f'[cluster]\nendpoint = "tcp:5360:interface={address}"\n'
                '[admin]\nendpoint = "tcp:8357:interface=127.0.0.1"\n')

    def twistd(self, host, plugin):
        """Starts a plugin of twistd on the configuration of a host."""
        return self.start(host, host, program("twistd"), "-n", "--pidfile=", plugin, "--config", f"{host}.toml")

    def is_in_state(self, gateway, state):
        """True if a gateway says that the scanner is in that state there."""
        return f'state="{state}"}} 1' in self.run(
            gateway, "curl", "-s", "-m", "10", "http://127.0.0.1:8357/metrics", check=False)


@pytest.fixture
def network(tmp_path):
    skip_without_redis()
    need("curl dbus iproute2 sane-airscan", "ip", "curl", "airscan-discover", "dbus-daemon")
    made = Network(tmp_path)
    try:
        made.build()
        made.configure()
        yield made
    finally:
        logs = made.close()
    assert "Traceback" not in logs, logs


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
        SWITCH, "env", f"SANE_CONFIG_DIR={folder}", "SANE_DEBUG_AIRSCAN=0",
        f"DBUS_SYSTEM_BUS_ADDRESS=unix:path={tmp_path}/bus", "airscan-discover"))
    bus.terminate()
    bus.wait(60)


def matched(network):
    """Endpoint and addresses of each scanner that a library finds, whose last message about it was a match."""
    found = [line.split() for line in network.run(SWITCH, sys.executable, "-c", LIBRARY).splitlines()]
    return {endpoint: addresses for endpoint, *addresses in found if addresses}


def addresses(*gateways):
    return [f"http://{address}:{PORT}/{NAME}" for _, address in gateways]


def test_the_scanner_is_found_once(network, airscan, until):
    network.start(SWITCH, "redis", "redis-server", "--save", "", "--protected-mode", "no")
    network.twistd(SCANNER, "wsdscanner")
    first = network.twistd(FIRST[0], "wsdgateway")
    until(lambda: network.is_in_state(FIRST[0], "owning"))
    network.twistd(SECOND[0], "wsdgateway")
    until(lambda: network.is_in_state(SECOND[0], "following"))
    endpoint = derived_endpoint(NAME)
    until(lambda: matched(network) == {endpoint: addresses(FIRST, SECOND)})
    before = until(airscan)
    first.kill()
    until(lambda: network.is_in_state(SECOND[0], "owning"))
    until(lambda: matched(network) == {endpoint: addresses(SECOND)})
    after = until(airscan)
    # It asks for the metadata at each address, and shows the one that answers first.
    assert before in [[f"{address}/scan"] for address in addresses(FIRST, SECOND)]
    assert after == [f"{addresses(SECOND)[0]}/scan"]
