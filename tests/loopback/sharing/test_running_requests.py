"""Tests of requests that run when a scanner gets another owner."""

import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred

from tests.loopback.gateways import PATH
from tests.loopback.sharing.conftest import NAME, owner_of, serves
from tests.messages import get_job_elements, job_request, status_response
from tests.peers import ask, connect, post
from tests.waiting import until

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/related\r\nContent-Length: 200000\r\n\r\n"


class SlowImages:
    """A scanner that sends the first half of an image, and the rest when the test says so."""

    def __init__(self, device):
        self.asked = []
        self.reads = 0
        device.handle = self._handle

    def _handle(self, asked):
        if b"RetrieveImage" in asked.request.body:
            self.asked.append(asked)
            asked.write(HEAD + b"x" * 100000)
        else:
            self.reads += 1
            asked.answer(status_response("7", "Processing"))

    def finish(self):
        for asked in self.asked:
            asked.write(b"y" * 100000)


async def image(port):
    """Asks for an image at a port, and returns its body."""
    client = await connect(port)
    client.send(post(PATH, job_request("RetrieveImage", "7")))
    head, body = await client.answer()
    client.transport.abortConnection()
    await client.end()
    return head.status, body


async def started(pair, device, *, max_connections=2, **sections):
    scanner = SlowImages(device)
    owner, follower = await pair(device.url, scanner={"events": "off", "max_connections": max_connections}, **sections)
    waiting = [ensureDeferred(image(service.port)) for service in (owner,)]
    await until(lambda: len(scanner.asked) == 1)
    return scanner, owner, follower, waiting


@pytest_twisted.ensureDeferred
async def test_a_hand_over_waits_for_an_image(pair, device):
    scanner, owner, follower, [waiting] = await started(pair, device, lease=4.0)
    await follower.cluster.state.wish(NAME, "two")
    await until(lambda: not owner.bridged.is_served(NAME))
    assert not serves(follower) and owner.shared.leases.of(NAME).holds()
    scanner.finish()
    status, body = await waiting
    assert (status, len(body)) == (200, 200000)
    await until(lambda: serves(follower))


@pytest_twisted.ensureDeferred
async def test_an_image_goes_on_after_the_ownership_was_lost(pair, device):
    scanner, owner, follower, [waiting] = await started(pair, device)
    tick, stalled = owner.shared.coordination.tick, Deferred()
    owner.shared.coordination.tick = lambda *arguments: stalled.addCallback(lambda _: tick(*arguments))
    await until(lambda: serves(follower))
    owner.shared.coordination.tick = tick
    stalled.callback(None)
    await until(lambda: owner.scanners == [] and owner_of(owner) == "two")
    head, answer = await ask(owner.port, PATH, get_job_elements("7"))  # passed on
    assert head.status == 200 and b"Processing" in answer
    scanner.finish()
    status, body = await waiting
    assert (status, len(body)) == (200, 200000)


@pytest_twisted.ensureDeferred
async def test_a_request_to_a_gateway_that_stops_is_answered_by_the_next_owner(pair, device):
    scanner, owner, follower, [waiting] = await started(pair, device)
    stopping = owner.stopService()
    await until(lambda: not owner.bridged.is_served(NAME))
    asking = ensureDeferred(ask(owner.port, PATH, get_job_elements("7")))
    await until(lambda: owner.cluster.shared.held == 1)
    scanner.finish()
    head, answer = await asking
    assert head.status == 200 and b"Processing" in answer
    assert (await waiting)[0] == 200
    await stopping
    await until(lambda: serves(follower))


@pytest_twisted.ensureDeferred
async def test_a_request_that_still_waits_after_a_hand_over_is_answered_by_the_next_owner(pair, device):
    scanner, owner, follower, [waiting] = await started(
        pair, device, max_connections=1, limits={"stop_timeout": 0.5})
    asking = ensureDeferred(ask(owner.port, PATH, get_job_elements("7")))
    await until(lambda: owner.scanners[0].device.waiting == 1)
    await follower.cluster.state.wish(NAME, "two")
    head, answer = await asking
    assert head.status == 200 and b"Processing" in answer
    await until(lambda: serves(follower))
    assert not waiting.called
    scanner.finish()
    assert (await waiting)[0] == 200
