"""Asks the other gateways which scanners they serve, while the shared server cannot be reached."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.defer import TimeoutError as TimedOut

from wsdgateway.bridge.cluster.peerfields import SECRET, BadFields
from wsdgateway.bridge.cluster.serving import ASKED, read_serving, write_serving
from wsdgateway.bridge.cluster.values import Registration, Serving
from wsdgateway.http.messages import request_head
from wsdgateway.http.urls import address_of
from wsdgateway.net.cluster.peerlink import PeerLink
from wsdgateway.net.transport.errors import BadDevice, DeviceError

ANSWER_SECONDS = 1.0  # for all of them
MAX_MET = 20  # gateways that are asked because they have asked


# Asks a gateway, and tells it what this one serves; fails with a `DeviceError`.
Ask = Callable[[Registration, Serving], Deferred[Serving]]


class Inquiry:
    """The questions to other gateways. `ask` sends one; None if there is no link to them."""

    def __init__(self, reactor: Any, ask: Ask | None) -> None:
        self._reactor, self._ask = reactor, ask
        self._met: dict[str, Registration] = {}

    def met(self, gateway: Registration) -> None:
        """Note a gateway that has asked this one. It may have registered since the last view."""
        if gateway.identifier in self._met or len(self._met) < MAX_MET:
            self._met[gateway.identifier] = gateway

    def answered(self) -> None:
        """Note that the server is back, which tells all gateways."""
        self._met = {}

    async def ask(self, registered: Sequence[Registration], own: Serving) -> list[Serving]:
        """Asks the gateways; returns the answers that arrive within `ANSWER_SECONDS`."""
        if self._ask is None:
            return []
        answers: list[Serving] = []
        asked = []
        # By address, at which only the last process of a gateway can answer.
        gateways = {gateway.address: gateway for gateway in (*registered, *self._met.values())}
        for gateway in gateways.values():
            if gateway.address:
                question = self._ask(gateway, own).addTimeout(ANSWER_SECONDS, self._reactor)
                question.addCallbacks(answers.append, lambda failure: failure.trap(DeviceError, TimedOut) and None)
                asked.append(question)
        await gatherResults(asked, consumeErrors=True)
        return answers


def ask_over(link: PeerLink) -> Ask:
    """The questions over the peer link. One that is cancelled closes its connection."""
    def ask(gateway: Registration, own: Serving) -> Deferred[Serving]:
        return Deferred.fromCoroutine(_ask(link, gateway, own))

    return ask


async def _ask(link: PeerLink, gateway: Registration, own: Serving) -> Serving:
    body = write_serving(own)
    head = request_head(b"/", [
        (b"Host", address_of(gateway.address).authority), (SECRET, link.secret()), (ASKED, b"1"),
        (b"Content-Length", b"%d" % len(body))])
    call = link.call(gateway, head, body, lambda: None)
    try:
        response = await call.answered
    except CancelledError:
        link.abandon(call)
        raise
    answer = await response.collect()
    if response.head.status != 200:
        raise BadDevice(response.peer, f"it answered with status {response.head.status}")
    try:
        return read_serving(answer)
    except BadFields as bad:
        raise BadDevice(response.peer, str(bad)) from None
