"""A bridged scanner for tests, with a clock that is set by hand: what clients ask, and what the scanner says."""

import itertools

from tests.messages import get_job_elements
from tests.options import scanner_options
from wsdgateway.bridge.decisions import Answer, Failure, Forward, Join, Reply
from wsdgateway.bridge.events.intake import Notification, read_notification
from wsdgateway.bridge.frontends.frontend import Rejected
from wsdgateway.bridge.frontends.wsscan import Endpoint, route
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.scan.jobelements import read_response
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import temporary_error

FAILED = Failure(temporary_error("unplugged"))
EARLY, LATE = "2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z"
SOAP_TYPE = b"application/soap+xml"
# A request with this header neither shares its answer with others nor gets a refusal that they share.
UNUSUAL = "<v:x xmlns:v='u:v'/>"


class Bridge:
    """A bridged scanner to which a subscription is held; `options` as for `scanner_options`."""

    def __init__(self, **options):
        self.now = 100.0
        ids = itertools.count()
        self.scanner = ScannerBridge(scanner_options(max_age=30.0, poll_interval=1.0, history=5, **options),
                                     new_id=lambda: f"urn:uuid:own-{next(ids)}")
        self.scanner.device = "http://device/scan"
        self.scanner.listens(True)

    def question(self, raw, client="192.0.2.1"):
        question = route(raw, Endpoint.SCAN, client=client, host=b"gateway.test:5357")
        assert not isinstance(question, Rejected)
        return question

    def ask(self, raw, client="192.0.2.1", *, send=True):
        """What happens to a client's request; one to the scanner is sent at once, unless `send` is false."""
        decision = self.scanner.ask(self.question(raw, client), self.now)
        if isinstance(decision, Forward) and send:
            self.scanner.sent(decision, self.now)
        return decision

    def learn(self, forward, body, status=200, content_type=SOAP_TYPE):
        """What the client gets after this answer of the scanner."""
        decision = self.scanner.learn(forward, Reply(status, content_type, body), self.now)
        if isinstance(decision, Forward):
            self.scanner.sent(decision, self.now)
        return decision

    def join(self, raw, forward, body, status=200):
        """What a client gets that waited for another's request, after its answer."""
        return self.scanner.joined(
            self.question(raw, "192.0.2.2"), forward, Reply(status, SOAP_TYPE, body), self.now)

    def tell(self, data):
        """The scanner sends a notification. False if it came before."""
        notification = read_notification(data)
        assert isinstance(notification, Notification)
        return self.scanner.notified(notification, self.now)

    def read(self, job_id="1"):
        """State and scans that a client is shown from the table; None if the device is to be asked."""
        decision = self.ask(get_job_elements(job_id, headers=UNUSUAL))
        if isinstance(decision, Answer):
            status = shown(decision.body)
            return status.state, status.scans_completed
        assert isinstance(decision, Forward | Join)
        if isinstance(decision, Forward):
            self.scanner.fail(decision, FAILED, self.now)
        return None


def shown(data):
    """The status in an answer."""
    return read_response(read(data).body).status
