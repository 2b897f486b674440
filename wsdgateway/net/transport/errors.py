"""Errors of exchanges with scanners and event sinks, and the faults that clients get for the former.

The class of an error tells which side failed; only `fault_for` converts errors to faults.
"""

from wsdgateway.bridge.health.causes import Cause
from wsdgateway.soap.faults import Fault, internal_error, temporary_error

BUSY = "The scanner is busy with other requests"
UNAVAILABLE = "The scanner is unavailable"
STOPPING = "the gateway is stopping"
DISCONNECTED = "the client disconnected"
NOT_OURS = "another gateway serves this scanner now"


class DeviceError(Exception):
    """The scanner at `peer` gave no usable reply; `what` says why. `sent` is true if the request had reached it.

    `cause` is the cause as the scanner's problem, None if it does not last or does not lie with the scanner.
    """

    def __init__(self, peer: str, what: str | Cause, *, cause: Cause | None = None, detail: str = "") -> None:
        if isinstance(what, Cause):
            cause, what = what, what.clause
        if detail:
            what = f"{what} ({detail})"
        super().__init__(f"{peer}: {what}")
        self.peer = peer
        self.what = what
        self.cause = cause
        self.sent = False


class Unavailable(DeviceError):
    """The scanner cannot be asked now: connection refused, timed out, circuit breaker open."""


class Busy(Unavailable):
    """Too many other requests are queued, or they took too long; this says nothing about the scanner."""


class NotOwned(Unavailable):
    """This gateway does not own the scanner by now. Nothing was sent."""

    def __init__(self, peer: str) -> None:
        super().__init__(peer, "this gateway does not own it now")


class BadDevice(DeviceError):
    """The scanner's reply is not a complete, valid HTTP response."""


# One object, by which such a fault is recognised: the request can still be passed to the owner.
NOT_OWNED = temporary_error("Another gateway owns the scanner now. Try again in a few seconds.")


def fault_for(error: DeviceError) -> Fault:
    """The SOAP fault that a client gets for an error."""
    if isinstance(error, BadDevice):
        return internal_error(
            f"The scanner's answer cannot be used: {error.what}. If this happens again, restart the scanner.")
    if isinstance(error, NotOwned):
        return NOT_OWNED
    if isinstance(error, Busy):
        return temporary_error(f"{BUSY}: {error.what}. Try again in a few seconds.")
    return temporary_error(f"{UNAVAILABLE}: {error.what}. Try again in a few seconds.")


def describe_error(error: BaseException) -> str:
    """The text of an exception for use inside a message: without a final period, as Twisted's have; never empty."""
    return str(error).rstrip(".") or type(error).__name__


class DeliveryError(Exception):
    """A notification could not be delivered; the text says why."""
