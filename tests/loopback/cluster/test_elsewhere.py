"""Clients that ask a gateway for all scanners, some of which another gateway owns."""

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.loopback.clients import found, probe
from tests.loopback.cluster.gateways import SCANNER, SECRET
from tests.waiting import until
from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.cluster.peerfields import BODY, PASSED, read_passed
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.bridge.discovery.appsequences import AppSequences
from wsdgateway.discovery.messages import Sequence, TargetService
from wsdgateway.discovery.versions import WS_2005_04
from wsdgateway.discovery.writing import write_matches
from wsdgateway.http.messages import first
from wsdgateway.net.clients.discoveryendpoint import DiscoveryEndpoint
from wsdgateway.net.cluster import elsewhere
from wsdgateway.net.cluster.elsewhere import Elsewhere
from wsdgateway.net.cluster.peerlink import PeerLink
from wsdgateway.net.discovery.directed import DirectedDiscovery
from wsdgateway.net.transport.accounting import Accounting


class Owners:
    """The owner of every scanner is a gateway that the test plays."""

    def __init__(self, device):
        self.owner = Registration("id-other", "other", f"http://127.0.0.1:{device.port}", "")

    def find(self, scanner):
        return self.owner


@pytest.fixture
def asking(gateway, device):
    """A gateway that asks the device for the scanners of others."""
    from twisted.internet import reactor

    made = []

    async def start():
        service = await gateway(None)
        link = PeerLink(reactor, seconds=service.clock, secret=lambda: SECRET)
        made.append(link)
        finder = Elsewhere(link, Owners(device), identifier="id-own", name="own", scanners=lambda: [SCANNER],
                           seconds=service.clock)
        new_id = service.message_ids.new_id
        accounting = Accounting(None, service.metrics, service.recording.log, seconds=service.clock, wall=service.wall)
        service.router.mount(b"/", DiscoveryEndpoint(
            list, DirectedDiscovery(AppSequences(5), new_id), Permission(()), accounting, new_id,
            elsewhere=finder.matches).resource)
        return service

    yield start
    for link in made:
        pytest_twisted.blockon(ensureDeferred(link.stop()))


def answer(asked, *services, status=b"200 OK", body=None):
    """Answers as a gateway does: the length of the client's answer in a field."""
    content = write_matches("ProbeMatches", services, version=WS_2005_04, sequence=Sequence(50, 1),
                            relates_to="urn:uuid:q", message_id="urn:uuid:m") if body is None else body
    asked.write(b"HTTP/1.1 %s\r\n%s: %d\r\nContent-Length: %d\r\n\r\n%s" % (
        status, BODY, len(content), len(content), content))


@pytest_twisted.ensureDeferred
async def test_the_matches_of_an_owner_are_listed_for_scanners_that_this_gateway_knows(asking, device):
    service = await asking()
    device.handle = lambda asked: answer(asked, *(
        TargetService(f"urn:uuid:{name}", (), (), (f"http://127.0.0.1:{service.port}/{name}",), 1)
        for name in (SCANNER, "unknown")), TargetService("urn:uuid:nowhere"))
    assert await found(service, "/", probe()) == [
        (f"urn:uuid:{SCANNER}", f"http://127.0.0.1:{service.port}/{SCANNER}")]
    passed = read_passed(first(device.requests[0].request.headers, PASSED.lower()))
    assert (passed.scanner, passed.base) == ("", f"http://127.0.0.1:{service.port}")


@pytest.mark.parametrize("broken", [
    {"status": b"403 Forbidden"}, {"status": b"421 Misdirected Request"}, {"body": b"<a"}, {"body": b"x" * 40000}])
@pytest_twisted.ensureDeferred
async def test_an_owner_that_cannot_be_used_is_left_out(asking, device, said, broken):
    service = await asking()
    device.handle = lambda asked: answer(asked, **broken)
    assert await found(service, "/", probe()) == []
    assert [line for line in said if "asks for all scanners" in line]


@pytest_twisted.ensureDeferred
async def test_an_owner_that_does_not_answer_is_left_out(asking, device, said, monkeypatch):
    monkeypatch.setattr(elsewhere, "ANSWER_SECONDS", 0.05)
    service = await asking()
    device.handle = lambda asked: None
    assert await found(service, "/", probe()) == []
    await until(lambda: any("no answer within" in line for line in said))
