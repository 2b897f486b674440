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
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.parsing import Malformed

# With a second for the next poll of a client and one for the answer, less than the 12 seconds within which clients must
# learn of the end of an outage.
GIVEN_UP_SECONDS = 8.0
SLOWER = 2.0  # times the slowest answer so far, for which the next one is waited for at least


class StatusCheck:
    """Asks one scanner for its ScannerStatus, as a request of the gateway's own. `learnt` is called after an answer.

    `is_read` is set when the scanner's health is read, and cleared by each check. `received` returns the time at which
    the scanner last sent anything. `give_up` ends the question that is under way, if nothing of an answer has arrived;
    its argument is the time since which the scanner has been silent. `is_busy` returns True if the scanner may have no
    time to answer.
    """

    log = Logger()

    def __init__(self, bridge: ScannerBridge, send: SendRequest, *, seconds: Callable[[], float],
                 new_id: Callable[[], str], learnt: Callable[[], None], received: Callable[[], float],
                 give_up: Callable[[float], None], is_busy: Callable[[], bool]) -> None:
        self._bridge = bridge
        self._send = send
        self._seconds = seconds
        self._new_id = new_id
        self._learnt = learnt
        self._received = received
        self._give_up = give_up
        self._is_busy = is_busy
        self._slowest: float | None = None  # time that an answer has taken, in seconds
        self._unanswered_since: float | None = None
        self._is_given_up = False
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
        """Since when questions are not answered, in seconds; None if no question is under way."""
        return None if self._asking is None else self._unanswered_since

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

        The Deferred fires when the scanner has been asked, or at once if it is not. A question whose answer is overdue
        is asked again, over another connection.
        """
        self._give_up_overdue()
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

    def _give_up_overdue(self) -> None:
        """Give up the question under way if the scanner is silent for longer than its answers ever took.

        A scanner that has not answered any question yet may be slow.
        """
        since, slowest = self._unanswered_since, self._slowest
        if self._asking is None or since is None or slowest is None or self._is_busy():
            return
        overdue = self._seconds() - self._asked_at >= max(GIVEN_UP_SECONDS, SLOWER * slowest)
        if overdue and self._received() <= self._asked_at:
            self._is_given_up = True
            self._give_up(max(since, self._received()))
            self._is_given_up = False

    def _begin(self) -> Deferred[None] | None:
        if self._bridge.device is None:
            self._unanswered_since = None
            return None
        self._asked_at = self._seconds()
        if self._unanswered_since is None:
            self._unanswered_since = self._asked_at
        self._asking = Deferred.fromCoroutine(self._ask(self._bridge.device))
        self._asking.addErrback(lambda failure: self.log.failure(
            "{scanner}: asking for its status failed", failure, scanner=self._bridge.name))
        self._asking.addBoth(self._ended)
        return self._asking

    def _ended(self, _: object) -> None:
        self._asking = None
        if not self._is_given_up:
            self._unanswered_since = None
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
        self._slowest = max(self._slowest or 0.0, self._seconds() - self._asked_at)
        self._bridge.learn_status(_envelope(reply), reply, sent)
        self._learnt()


def _envelope(reply: Reply) -> Envelope | None:
    try:
        return reply.read()
    except Malformed:
        return None
