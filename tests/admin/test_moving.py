"""Tests of admin.moving: `/api/cluster/move`."""

import json

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from tests.admin.descriptions import Described
from tests.clusterstates import AWAY, URL, FakeCluster, gateway
from wsdgateway.admin.access import Access
from wsdgateway.admin.connections import AdminLimits
from wsdgateway.admin.moving import MOVE_SECONDS
from wsdgateway.admin.site import AdminSite
from wsdgateway.bridge.cluster.state import FOLLOWING, CannotMove, ServerState
from wsdgateway.storage.coordination import NotNow

TO_2 = {"scanner": "front-desk", "gateway": "print-server-2"}


class Client:
    """A client of the address, with a simulated clock."""

    def __init__(self, cluster, token=None):
        self.clock = Clock()
        overview = Described(self.clock.seconds)
        overview.cluster = cluster
        access = Access(token, (), self.clock.seconds)
        self.site = AdminSite(self.clock, overview, access, "1", AdminLimits(), None)

    def post(self, body=TO_2, *headers, method="POST"):
        """Sends a request; returns a function that returns status and text of the answer, None before it."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        transport = StringTransportWithDisconnection(peerAddress=IPv4Address("TCP", "127.0.0.1", 5))
        transport.protocol = self.site.buildProtocol(None)
        transport.protocol.makeConnection(transport)
        lines = [f"{method} /api/cluster/move HTTP/1.1", "Host: 127.0.0.1", "Connection: close",
                 f"Content-Length: {len(content)}", *headers]
        transport.protocol.dataReceived("\r\n".join((*lines, "", "")).encode() + content)

        def answered():
            head, _, text = transport.value().partition(b"\r\n\r\n")
            return (int(head.split()[1]), text.decode()) if head else None

        return answered


def test_the_answer_comes_when_the_other_gateway_owns_the_scanner():
    cluster = FakeCluster()
    client = Client(cluster)
    answered = client.post()
    client.clock.advance(1.0)
    assert cluster.wishes == [("front-desk", "print-server-2")] and answered() is None
    cluster.owned("front-desk", FOLLOWING, "print-server-2")
    client.clock.advance(0.1)
    assert answered() == (200, "print-server-2 owns front-desk now.\n")


@pytest.mark.parametrize(("owner", "said"), [("print-server-1", "print-server-1 owns it"),
                                             (None, "no gateway owns it now")])
def test_a_gateway_that_does_not_take_it_is_named(owner, said):
    cluster = FakeCluster()
    client = Client(cluster)
    answered = client.post()
    cluster.owned("front-desk", FOLLOWING, owner)
    client.clock.pump([0.1] * (int(MOVE_SECONDS * 10) + 2))
    assert answered() == (504, f"print-server-2 has not taken over front-desk within 40 s; {said}. The logs of both "
                               "gateways have the reason.\n")


@pytest.mark.parametrize(("body", "status", "said"), [
    ({**TO_2, "scanner": "fax\n"}, 422, 'No scanner has the name "fax\\n"; the scanners are front-desk, attic.'),
    ({**TO_2, "gateway": "x"}, 422, 'No running gateway has the name "x"; the gateways are print-server-1, '
                                    "print-server-2, print-server-3."),
    ({**TO_2, "gateway": "print-server-3"}, 422,
     "print-server-3 has no [[scanner]] front-desk in its configuration."),
    ({**TO_2, "gateway": "print-server-1"}, 409, "print-server-1 already owns front-desk.")])
def test_what_cannot_be_done_is_said_at_once(body, status, said):
    cluster = FakeCluster()
    cluster.registered.append(gateway("print-server-3", configured=["attic"]))
    assert Client(cluster).post(body)() == (status, f"{said}\n")
    assert cluster.wishes == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", {"scanner": "front-desk"}, {**TO_2, "gateway": 5},
                                  b"[" * 9999])
def test_another_body_is_refused(body):
    assert Client(FakeCluster()).post(body)() == (400, (
        'The body must be a JSON object such as {"scanner": "front-desk", "gateway": "print-server-2"}.\n'))


def test_without_a_cluster_nothing_can_be_moved():
    status, said = Client(None).post()()
    assert status == 409 and said.startswith("This gateway works without others; ")


def test_redis_that_is_away_is_told():
    cluster = FakeCluster(answer=lambda: fail(NotNow("redis://h: no answer within 1 s")))
    assert Client(cluster).post()() == (503, "front-desk is not moved: redis://h: no answer within 1 s\n")


def test_a_gateway_that_has_gone_meanwhile_is_told():
    cluster = FakeCluster(answer=lambda: fail(CannotMove("print-server-2: must be the name of a running gateway")))
    assert Client(cluster).post()() == (
        503, "front-desk is not moved: print-server-2: must be the name of a running gateway\n")


@pytest.mark.parametrize(("redis", "said"), [(AWAY, f"{URL}: no answer within 1 s"),
                                             (ServerState(URL), f"{URL} has not answered yet")])
def test_redis_that_is_away_is_the_reason_why_no_other_gateway_is_known(redis, said):
    cluster = FakeCluster(redis=redis, registered=[])
    assert Client(cluster).post()() == (503, f"front-desk is not moved: {said}\n")
    assert cluster.wishes == []


@pytest.mark.parametrize("header", ["Origin: http://127.0.0.1:8357", "Sec-Fetch-Site: same-origin"])
def test_a_page_in_a_browser_cannot_move_anything(header):
    cluster = FakeCluster()
    assert Client(cluster).post(TO_2, header)()[0] == 403
    assert cluster.wishes == []


def test_the_token_is_needed_and_the_method_is_post():
    client = Client(FakeCluster(), token="x" * 16)
    assert client.post()()[0] == 401
    assert client.post(TO_2, f"Authorization: Bearer {'x' * 16}", method="GET")() == (
        405, "Use POST to move a scanner to another gateway, or wsdgateway cluster move.\n")
    answered = client.post({**TO_2, "gateway": "print-server-1"}, f"Authorization: Bearer {'x' * 16}")
    assert answered()[0] == 409
