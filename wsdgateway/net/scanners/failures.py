"""Names the causes of failed connection attempts to a scanner.

RFC 9112 section 9. A shortage of the gateway's own resources, and an attempt that was cancelled, have no cause that
lies with the scanner.
"""

import errno
import os

import attrs
from twisted.internet import error as neterror
from twisted.internet.defer import CancelledError

from wsdgateway.bridge.health.causes import (
    PIN_MISMATCH,
    REFUSED,
    SILENT,
    UNKNOWN_AUTHORITY,
    UNTRUSTED_AUTHORITY,
    Cause,
    told,
    unresolved,
)
from wsdgateway.net.transport.errors import describe_error
from wsdgateway.tls.trust import WrongKey, explain, is_unverified

OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)  # shortage of local resources
CANCELLED = (CancelledError, neterror.ConnectingCancelledError)  # attempts that ended with their request
_NO_ROUTE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT)


class Insecure(Exception):
    """Raised if no secure connection to the device is possible.

    The text says why. `has_authority`: an authority is configured for it.
    """

    def __init__(self, problem: BaseException, *, has_authority: bool) -> None:
        self.cause, advice = _why(problem, has_authority=has_authority)
        super().__init__(self.cause.clause + advice)


def _why(problem: BaseException, *, has_authority: bool) -> tuple[Cause, str]:
    """The cause of a failed handshake, and what to do about it."""
    if isinstance(problem, WrongKey):
        cause = attrs.evolve(PIN_MISMATCH, detail=problem.detail)
        return cause, "; the gateway's log shows the pin of the key that it has"
    sentence, _, advice = explain(problem).partition("; ")
    if is_unverified(problem):
        return UNKNOWN_AUTHORITY if has_authority else UNTRUSTED_AUTHORITY, f"; {advice}"
    return told(sentence), f"; {advice}" if advice else ""


def text_of(error: BaseException) -> str:
    """The system's text for the error's number, without Twisted's words around it; else the text of the error."""
    if isinstance(error, CANCELLED):
        return "it took too long"
    number = getattr(error, "osError", None)
    return os.strerror(number) if number else describe_error(error)


def cause_of(error: BaseException, host: str) -> Cause | None:
    """The cause of a failed attempt to connect to that host; None if it does not lie with the scanner."""
    number = getattr(error, "osError", None)
    if number in OURS or isinstance(error, CANCELLED):
        return None
    if isinstance(error, Insecure):
        return error.cause
    if isinstance(error, neterror.ConnectionRefusedError):
        return REFUSED
    if isinstance(error, neterror.DNSLookupError | ValueError):
        return unresolved(host)
    if isinstance(error, neterror.TimeoutError | neterror.NoRouteError) or number in _NO_ROUTE:
        return SILENT
    return told(f"it cannot be connected to ({text_of(error)})")
