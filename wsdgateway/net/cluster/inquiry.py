"""Asks the other gateways which scanners they serve, while the shared server cannot be reached."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as TimedOut

from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.net.transport.errors import DeviceError

ANSWER_SECONDS = 1.0  # for all of them
MAX_MET = 20  # gateways that are asked because they have asked


@attrs.frozen
class Serving:
    """The scanners that a gateway serves, or is about to, each by its token, or what stands for it (`alone_token`)."""

    gateway: Registration
    tokens: Mapping[str, int]


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
