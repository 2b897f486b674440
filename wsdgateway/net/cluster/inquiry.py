"""Asks the other gateways which scanners they serve, while the shared server cannot be reached."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as TimedOut

from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.net.transport.errors import DeviceError

ANSWER_SECONDS = 1.0  # for all of them


@attrs.frozen
class Serving:
    """The scanners that a gateway serves, or is about to, each by its token, or what stands for it (`alone_token`)."""

    gateway: Registration
    tokens: Mapping[str, int]


Ask = Callable[[Registration], Deferred[Serving]]  # fails with a `DeviceError`


class Inquiry:
    """The questions to other gateways, one at a time to each. `ask` sends one; None if there is no link to them."""

    def __init__(self, reactor: Any, ask: Ask | None) -> None:
        self._reactor, self._ask = reactor, ask

    async def ask(self, gateways: Sequence[Registration]) -> list[Serving]:
        """Returns the answers that arrive within `ANSWER_SECONDS`."""
        if self._ask is None:
            return []
        answers: list[Serving] = []
        asked = []
        for gateway in gateways:
            if gateway.address:
                question = self._ask(gateway).addTimeout(ANSWER_SECONDS, self._reactor)
                question.addCallbacks(answers.append, lambda failure: failure.trap(DeviceError, TimedOut) and None)
                asked.append(question)
        await gatherResults(asked, consumeErrors=True)
        return answers
