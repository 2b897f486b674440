"""Two gateways with a shared address that moves: at a takeover the scanner notices one Renew for each subscription."""

import json

import pytest

from tests.cluster.clients import Creation
from tests.e2e.movingaddress import ADDRESSES, GATEWAYS, MIDDLE, SCANNER, SHARED, moving_address
from tests.e2e.subnets import need
from tests.messages import get_job_elements, subscribe
from tests.redisserver import skip_without_redis

REDIS, PORT, PATH = 6379, 5357, "/front-desk/scan"


@pytest.fixture
def network(tmp_path):
    skip_without_redis()
    need("iproute2 curl", "ip", "curl")
    with moving_address(tmp_path) as made:
        (tmp_path / f"{SCANNER}.toml").write_text(
            f'[scanner]\nendpoint = "tcp:80:interface={ADDRESSES[SCANNER]}"\nstamp = "the same"\n')
        for name, address in GATEWAYS.items():
            (tmp_path / f"{name}.toml").write_text(
                f'[gateway]\nname = "{name}"\nstate = "redis://{ADDRESSES[MIDDLE]}:{REDIS}/0"\n'
                f'[[listen]]\nendpoint = "tcp:{PORT}"\n'
                f'[[scanner]]\nname = "front-desk"\nscan = "http://{ADDRESSES[SCANNER]}/WDP/SCAN"\n'
                f'[events]\naddress = "http://{SHARED}:{PORT}"\n'
                f'[cluster]\nendpoint = "tcp:5360:interface={address}"\n'
                '[admin]\nendpoint = "tcp:8357:interface=127.0.0.1"\n')
        yield made


class _Scanner:
    """The scanner's control interface, asked from the middle."""

    def __init__(self, network):
        self._network = network

    def state(self):
        """Returns the state; empty while the scanner does not answer."""
        return json.loads(self._network.curl(MIDDLE, f"http://{ADDRESSES[SCANNER]}/control/") or "{}")

    def press(self):
        """Presses the button. Returns the number of names on the panel that it notified."""
        return json.loads(self._network.curl(
            MIDDLE, f"http://{ADDRESSES[SCANNER]}/control/press", "-X", "POST"))["result"]


def post(network, tmp_path, message):
    """Sends a client's message to the shared address. Returns the answer."""
    (tmp_path / "message.xml").write_bytes(message)
    return network.curl(MIDDLE, f"http://{SHARED}:{PORT}{PATH}", "--data-binary", "@message.xml", "-H",
                        "Content-Type: application/soap+xml")


def test_a_takeover_is_one_renew_and_no_second_entry_on_the_panel(network, tmp_path, until):
    network.start(MIDDLE, "redis-server", "--port", str(REDIS), "--save", "", "--protected-mode", "no")
    network.twistd(SCANNER, "wsdscanner")
    scanner = _Scanner(network)
    until(scanner.state)
    network.move_address("gw-a")
    first = network.twistd("gw-a", "wsdgateway")
    until(lambda: scanner.state()["subscriptions"] == 1)
    second = network.twistd("gw-b", "wsdgateway")
    until(lambda: 'state="following"} 1' in network.curl("gw-b", "http://127.0.0.1:8357/metrics"))
    answer = post(network, tmp_path, subscribe(
        f"http://{ADDRESSES[MIDDLE]}:9000/sink", events=["ScanAvailableEvent"], destinations=[("ctx", "Scan to me")]))
    assert "SubscribeResponse" in answer, answer
    assert "CreateScanJobResponse" in post(network, tmp_path, Creation.new().message)
    before = scanner.state()
    assert before["subscriptions"] == 2
    assert before["asked"]["Subscribe"] == 2
    first.kill()
    network.move_address("gw-b")
    until(lambda: "JobState>Pending<" in post(network, tmp_path, get_job_elements("1")))
    until(lambda: scanner.state()["asked"].get("Renew", 0) == before["asked"].get("Renew", 0) + 2)
    after = scanner.state()
    assert after["subscriptions"] == 2
    assert after["asked"]["Subscribe"] == 2
    assert "Unsubscribe" not in after["asked"]
    assert scanner.press() == 1, "one entry on the panel"
    until(lambda: 'wsdgateway_events_total{event="ScanAvailableEvent",scanner="front-desk"} 1'
          in network.curl("gw-b", "http://127.0.0.1:8357/metrics"))
    assert second.poll() is None
