"""A request to another gateway, as its caller sees it."""

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.scanners.request import ScannerRequest


@attrs.define(eq=False)
class Call:
    """A request to another gateway, from `began` on, a time in seconds.

    `request` is the request on the wire. `is_pointless` is called each second until the answer begins, and returns why
    it can no longer be expected, or None.
    """

    request: ScannerRequest
    began: float
    is_pointless: Callable[[], str | None]
    doubts: int = 0

    @property
    def answered(self) -> Deferred[Response]:
        """Fires with the answer when it begins, or fails with a `DeviceError`."""
        return self.request.answered

    @property
    def sent(self) -> bool:
        """True if the other gateway may have received the request."""
        return self.request.sent

    def over(self) -> None:
        """Note that there is an answer, or that there will be none."""
        self.is_pointless = _not_pointless  # the former one refers to the call: a cycle


def _not_pointless() -> None:
    """The check of a call that is over."""
