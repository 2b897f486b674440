"""The questions that gateways ask each other on the peer link while the shared server is away."""

import pytest_twisted

from tests.peers import ask
from wsdgateway.bridge.cluster.peerfields import SECRET
from wsdgateway.bridge.cluster.serving import ASKED
from wsdgateway.bridge.cluster.values import NO_TOKEN, Registration, Serving
from wsdgateway.net.cluster.inquiry import Inquiry, ask_over


@pytest_twisted.ensureDeferred
async def test_gateways_tell_each_other_what_they_serve(clustered, device):
    from twisted.internet import reactor

    asking, other = await clustered("asking", device.url), await clustered("other", device.url)
    other.owners.serves = {"desk": 7, "hall": NO_TOKEN}
    own = Serving(asking.registration, {"attic": 3})
    gone = Registration("id", "gone", "http://127.0.0.1:9", "")
    answers = await Inquiry(reactor, ask_over(asking.link)).ask(
        [other.registration, gone, Registration("id", "unlinked", "", "")], own)
    assert answers == [Serving(other.registration, other.owners.serves)]
    assert other.owners.asked == [own]


@pytest_twisted.ensureDeferred
async def test_a_gateway_with_another_secret_gets_no_answer(clustered, device):
    from twisted.internet import reactor

    asking, other = await clustered("asking", device.url), await clustered("other", device.url)
    other.secret = b"00"
    assert await Inquiry(reactor, ask_over(asking.link)).ask(
        [other.registration], Serving(asking.registration, {})) == []
    assert other.owners.asked == []


@pytest_twisted.ensureDeferred
async def test_a_question_that_cannot_be_read_is_refused(clustered, device):
    other = await clustered("other", device.url)
    head, _ = await ask(other.peer_port, "/", b"[]", headers=b"%s: 1\r\n%s: %s\r\n" % (ASKED, SECRET, other.secret))
    assert head.status == 400
