"""Reads a scanner's answers to Subscribe, Renew and Unsubscribe.

WS-Eventing 2004/08, sections 3.1, 3.2 and 3.4.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import attrs

from wsdgateway.bridge.decisions import Reply
from wsdgateway.eventing.messages import Granted, read_granted
from wsdgateway.http.messages import first
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.parsing import Malformed


@attrs.frozen(eq=False)
class UpstreamAnswer:
    """A scanner's answer: its grant, or the name of its refusal.

    The name is that of the fault, or the status of an answer without one. Both are empty if the scanner answered with a
    success without a readable grant.
    """

    granted: Granted | None
    refusal: str
    envelope: Envelope | None


def read_answer(reply: Reply, wall: float) -> UpstreamAnswer:
    """Reads a reply; `wall` is in seconds since 1970, for grants of a scanner whose reply has no Date."""
    is_success = reply.status < 300
    try:
        envelope = reply.read()
        fault = fault_of(envelope)
        if fault is not None or not is_success:
            return UpstreamAnswer(None, fault or str(reply.status), envelope)
        return UpstreamAnswer(read_granted(envelope, _scanner_time(reply, wall)), "", envelope)
    except Malformed:
        return UpstreamAnswer(None, "" if is_success else str(reply.status), None)


def _scanner_time(reply: Reply, wall: float) -> datetime:
    """Returns the time in the reply's Date, otherwise ours: a point in time in Expires is on the scanner's clock."""
    date = first(list(reply.headers), b"date")
    if date is not None:
        try:
            told = parsedate_to_datetime(date.decode("latin-1"))
            return told if told.tzinfo else told.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            pass  # not a date
    return datetime.fromtimestamp(wall, UTC)


def is_other_service(reply: Reply) -> bool:
    """True if a reply shows that no SOAP service answers there.

    It is then not SOAP, and no sign of success or of being busy.
    """
    if reply.status == 503 or (reply.status < 300 and not reply.body):
        return False
    try:
        reply.read()
    except Malformed:
        return True
    return False
