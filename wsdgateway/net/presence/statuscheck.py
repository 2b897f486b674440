"""Confirms the health of a scanner that nobody asks: its active conditions, that it fails, and that it still answers.

WS-Scan, GetScannerElements. A scanner that answers and has no active conditions is asked only while its health is
read, such as by the admin site or Prometheus.
"""

from collections.abc import Callable
from math import inf

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.net.scanners.soapclient import SendRequest
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.scan.operations import GET_SCANNER_ELEMENTS
from wsdgateway.scan.scannerelements import write_status_request
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.soap.parsing import Malformed


class StatusCheck:
    """Asks one scanner for its ScannerStatus, as a request of the gateway's own. `learnt` is called after an answer.

    `is_read` is set when the scanner's health is read, and cleared by each check.
    """

    log = Logger()

    def __init__(self, bridge: ScannerBridge, send: SendRequest, *, seconds: Callable[[], float],
                 new_id: Callable[[], str], learnt: Callable[[], None]) -> None:
        self._bridge = bridge
        self._send = send
        self._seconds = seconds
        self._new_id = new_id
        self._learnt = learnt
        self._asking: Deferred[None] | None = None
        self._next: Deferred[None] | None = None  # the question after that
        self._asked_at = -inf
        self.is_read = False

    def check(self, interval: float, *, failing: bool, silent: float) -> None:
        """Ask if the scanner is `failing`, or has an active condition that was last reported an `interval` ago.

        Ask also if it has been `silent` for that time although its health is read. Both are in seconds. A little less
        than an interval counts, too: an answer is to a request sent a little after a check.
        """
        reported, is_read = self._bridge.reported, self.is_read
        self.is_read = False
        is_due = (reported.is_active and self._seconds() - reported.at >= interval / 2) or (
            is_read and silent >= interval / 2)
        if failing or is_due:
            self.ask()

    @property
    def waiting_since(self) -> float | None:
        """When the question was asked that has not been answered yet, in seconds; None if there is none."""
        return None if self._asking is None else self._asked_at

    def ask(self) -> None:
        """Ask now, unless the scan service is not known or a request is under way."""
        if self._asking is None:
            self._begin()

    def ask_anew(self) -> None:
        """Ask now, or after the request that is under way, whose answer may be too old."""
        if self._asking is not None and self._next is None:
            self._next = Deferred()
        self.ask()

    def confirm(self, age: float) -> Deferred[None]:
        """Ask if the last report and the last question are at least that old, in seconds; 0: ask anew in any case.

        The Deferred fires when the scanner has been asked, or at once if it is not.
        """
        if age <= 0.0:
            self.ask_anew()
        elif self._seconds() - max(self._bridge.reported.at, self._asked_at) >= age:
            self.ask()
        done: Deferred[None] = Deferred()
        last = self._next or self._asking
        if last is None:
            done.callback(None)
        else:
            last.addBoth(done.callback)
        return done

    def _begin(self) -> Deferred[None] | None:
        if self._bridge.device is None:
            return None
        self._asked_at = self._seconds()
        self._asking = Deferred.fromCoroutine(self._ask(self._bridge.device))
        self._asking.addErrback(lambda failure: self.log.failure(
            "{scanner}: asking for its status failed", failure, scanner=self._bridge.name))
        self._asking.addBoth(self._ended)
        return self._asking

    def _ended(self, _: object) -> None:
        self._asking = None
        following, self._next = self._next, None
        if following is not None:
            asking = self._begin()
            if asking is None:
                following.callback(None)
            else:
                asking.addBoth(following.callback)

    async def _ask(self, url: str) -> None:
        sent = self._bridge.sending(self._seconds())
        try:
            reply = await self._send(url, GET_SCANNER_ELEMENTS, write_status_request(to=url, message_id=self._new_id()))
        except DeviceError:
            return  # the contact with the scanner tells the cause
        self._bridge.learn_status(_envelope(reply), reply, sent)
        self._learnt()


def _envelope(reply: Reply) -> Envelope | None:
    try:
        return read(reply.body, reply.charset)
    except Malformed:
        return None
