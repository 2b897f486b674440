"""Tests of discovery with several gateways: one identity of each scanner, for which its owner alone speaks."""

import pytest
import pytest_twisted
from lxml import etree
from twisted.internet.defer import Deferred, fail, gatherResults

from tests.loopback.clients import found, probe
from tests.loopback.gateways import sample
from tests.loopback.sharing.conftest import NAME, owner_of, serves
from tests.messages import GET
from tests.peers import ask
from tests.ports import free_port
from tests.waiting import until
from wsdgateway.bridge.discovery.presence import derived_endpoint
from wsdgateway.discovery.writing import write_probe
from wsdgateway.net.presence.metadatacache import MetadataCache
from wsdgateway.soap.envelope import read
from wsdgateway.storage.coordination import NotNow

pytestmark = pytest.mark.usefixtures("soon")
ON_LO = {"discovery": {"client_interfaces": ["lo"], "announce_rate": 10000}}
ENDPOINT = derived_endpoint(NAME)


class Heard:
    """The messages that a client on the link has received."""

    def __init__(self, link):
        self._link = link

    def named(self, name, endpoint=ENDPOINT):
        """The distinct messages with that name about an endpoint."""
        return list({one.message_id: one for one in self._link.received
                     if one.name == name and any(service.endpoint == endpoint for service in one.content)}.values())

    def forget(self):
        self._link.received.clear()

    def probe(self, message_id):
        """Asks for all scanners by multicast."""
        self._link.ask(write_probe((), message_id=message_id))

    async def matches(self, message_id="urn:uuid:asked"):
        """Asks by multicast, and returns the distinct answers once one has arrived and its repetition could have."""
        self.forget()
        self.probe(message_id)
        await until(lambda: len([one for one in self._link.received if one.name == "ProbeMatches"]) >= 2)
        return self.named("ProbeMatches")


@pytest.fixture
def heard(own_link):
    return Heard(own_link)


@pytest.fixture
def two(member, virtual):
    """Starts two gateways on the link; with an address that they share, or each with its own."""

    async def start(*, shared=True, **sections):
        device, port = await virtual(), free_port()
        url = f"http://127.0.0.1:{port}"

        async def one(name, endpoint):
            listen = {"endpoint": endpoint, **({"advertise": url} if shared else {})}
            return await member(name, device.scan_url, listen=[listen], **ON_LO, **sections)

        owner = await one("one", "tcp:0:interface=127.0.0.1")
        await until(lambda: serves(owner))
        follower = await one("two", f"tcp:{port}:interface=127.0.0.1")
        await until(lambda: owner_of(follower) == "one" and len(owner.cluster.coordinator.living) == 2)
        return owner, follower

    return start


async def metadata(service):
    """The metadata that a client of a gateway reads."""
    head, body = await ask(service.port, f"/{NAME}", GET)
    assert head.status == 200
    return etree.tostring(read(body).body)


async def move(service, gateway, target):
    await service.cluster.state.wish(NAME, gateway)
    await until(lambda: serves(target))


@pytest_twisted.ensureDeferred
async def test_with_a_shared_address_nothing_but_the_instance_id_changes(two, heard):
    owner, follower = await two()
    await until(lambda: heard.named("Hello"))
    [before] = await heard.matches()
    described = await metadata(follower)
    heard.forget()
    await move(owner, "two", follower)
    await until(lambda: heard.named("Hello"))
    assert heard.named("Bye") == []
    first = heard.named("Hello")[0].sequence
    [after] = await heard.matches("urn:uuid:again")
    assert after.content == before.content
    assert [service.xaddrs for service in after.content] == [(f"{follower.config.listen[0].advertise}/{NAME}",)]
    assert first.instance_id == after.sequence.instance_id > before.sequence.instance_id
    assert first.message_number == 1
    assert await metadata(follower) == await metadata(owner) == described


@pytest_twisted.ensureDeferred
async def test_without_a_shared_address_the_owner_comes_first_and_a_takeover_is_a_change(two, heard):
    owner, follower = await two(shared=False)
    await until(lambda: heard.named("Hello"))
    here, there = (f"http://127.0.0.1:{service.port}/{NAME}" for service in (owner, follower))
    [before] = await heard.matches()
    heard.forget()
    await move(owner, "two", follower)
    await until(lambda: heard.named("Hello"))
    [after] = await heard.matches("urn:uuid:again")
    assert [one.content[0].xaddrs for one in (before, after)] == [(here, there), (there, here)]
    assert after.content[0].metadata_version == before.content[0].metadata_version + 1
    await owner.stopService()
    await until(lambda: len(follower.cluster.coordinator.living) == 1)
    [alone] = await heard.matches("urn:uuid:alone")
    assert alone.content[0].xaddrs == (there,)


@pytest_twisted.ensureDeferred
async def test_only_the_last_gateway_that_stops_says_bye(two, heard):
    owner, follower = await two()
    await until(lambda: heard.named("Hello"))
    before = heard.named("Hello")[-1].sequence.instance_id

    def later():
        """The followers' Hellos. A repetition of the former owner's may still arrive."""
        return [one for one in heard.named("Hello") if one.sequence.instance_id > before]

    await owner.stopService()
    await until(later)
    assert heard.named("Bye") == []
    await follower.stopService()
    await until(lambda: heard.named("Bye"))
    assert len({one.sequence.instance_id for one in (*later(), *heard.named("Bye"))}) == 1


@pytest.mark.parametrize("first", ["owner", "follower"])
@pytest_twisted.ensureDeferred
async def test_of_two_that_stop_together_one_says_bye(two, heard, first):
    owner, follower = await two()
    await until(lambda: heard.named("Hello"))
    before = heard.named("Hello")[-1].sequence
    await gatherResults([one.stopService() for one in ((owner, follower) if first == "owner" else (follower, owner))])
    await until(lambda: heard.named("Bye"))
    assert all((one.sequence.instance_id, one.sequence.message_number) > (before.instance_id, before.message_number)
               for one in heard.named("Bye"))


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_was_just_taken_over_gets_a_bye_from_the_last_gateway(two, heard, monkeypatch):
    owner, follower = await two()
    await until(lambda: heard.named("Hello"))
    heard.forget()
    monkeypatch.setattr(MetadataCache, "get", lambda self, **settings: Deferred())  # the scanner has not answered yet
    await owner.stopService()
    await until(lambda: follower.scanners)
    await follower.stopService()
    await until(lambda: heard.named("Bye"))


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_only_the_stopping_gateway_has_gets_a_bye(member, virtual, heard):
    scanners = [{"name": name, "scan": (await virtual()).scan_url} for name in (NAME, "other")]
    one = await member("one", None, scanners=scanners, **ON_LO)
    await until(lambda: heard.named("Hello") and heard.named("Hello", derived_endpoint("other")))
    two = await member("two", None, scanners=scanners[:1], **ON_LO)
    await until(lambda: len(one.cluster.coordinator.living) == 2)
    heard.forget()
    await one.stopService()
    await until(lambda: serves(two) and heard.named("Hello"))
    assert len(heard.named("Bye", derived_endpoint("other"))) >= 1
    assert heard.named("Bye") == []


@pytest_twisted.ensureDeferred
async def test_without_an_instance_id_the_owner_is_silent_until_it_can_draw_one(two, heard, monkeypatch):
    owner, follower = await two()
    await until(lambda: heard.named("Hello"))
    heard.forget()
    draw = follower.shared.store.draw_instance
    monkeypatch.setattr(follower.shared.store, "draw_instance", lambda now: fail(NotNow("away")))
    await move(owner, "two", follower)
    heard.probe("urn:uuid:silence")
    [(endpoint, _)] = await found(follower, f"/{NAME}", probe())
    assert endpoint == ENDPOINT
    await until(lambda: sample(follower, "wsdgateway_discovery_messages_total", message="Probe"))
    monkeypatch.setattr(follower.shared.store, "draw_instance", draw)
    await follower.synchronization.synchronize()
    await until(lambda: heard.named("Hello"))
    assert heard.named("ProbeMatches") == []


@pytest_twisted.ensureDeferred
async def test_the_root_of_each_gateway_lists_the_scanners_of_all(member, virtual):
    scanners = [{"name": name, "scan": (await virtual()).scan_url} for name in (NAME, "other")]
    one = await member("one", None, scanners=scanners)
    await until(lambda: serves(one) and serves(one, "other"))
    two = await member("two", None, scanners=scanners)
    await until(lambda: owner_of(two) == "one" and len(one.cluster.coordinator.living) == 2)
    await one.cluster.state.wish("other", "two")
    await until(lambda: serves(two, "other") and owner_of(one, "other") == "two")
    for service in (one, two):
        for path in ("/", "/StableWSDiscoveryEndpoint/schemas-xmlsoap-org_ws_2005_04_discovery"):
            matches = await found(service, path, probe())
            assert {endpoint: xaddrs.split()[0] for endpoint, xaddrs in matches} == {
                derived_endpoint(name): f"http://127.0.0.1:{service.port}/{name}" for name in (NAME, "other")}
