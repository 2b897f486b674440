"""What can go wrong between the gateway and a device, and the fault that a client gets for it.

An error's class says whose fault it was; `fault_for` is the one place that turns it into a fault.
"""

from wsdgateway.soap.faults import Fault, internal_error, temporary_error

BUSY = "The scanner is busy with other requests"


class DeviceError(Exception):
    """No usable answer came from the device at `peer`; `what` says why. `sent`: the request had reached it."""

    def __init__(self, peer: str, what: str) -> None:
        super().__init__(f"{peer}: {what}")
        self.peer = peer
        self.what = what
        self.sent = False


class Unavailable(DeviceError):
    """The device can't be asked now: refused, timed out, circuit open."""


class Busy(Unavailable):
    """Other requests are before this one, too many or for too long; that says nothing about the device."""


class BadDevice(DeviceError):
    """What came is not a whole HTTP answer."""


def fault_for(error: DeviceError) -> Fault:
    """The fault of the contract for an error."""
    if isinstance(error, BadDevice):
        return internal_error(
            f"The scanner's answer can't be used: {error.what}. Restart the scanner if it happens again.")
    if isinstance(error, Busy):
        return temporary_error(f"{BUSY}: {error.what}. Try again in a few seconds.")
    return temporary_error(f"The scanner can't be asked now: {error.what}. Try again in a few seconds.")


class DeliveryError(Exception):
    """A notification did not arrive; the text says why."""
