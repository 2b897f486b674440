"""A bridged scanner for tests, with a clock set by hand: requests of clients, and messages of the scanner."""

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
# The answer to a request with this header is not shared, and the request does not share the refusal of another.
UNUSUAL = "<v:x xmlns:v='u:v'/>"


class Bridge:
    """A bridged scanner with a subscription at it; `options` as for `scanner_options`."""

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
        """Returns the decision about a client's request; one for the scanner is marked as sent, unless `send` is false.
        """
        decision = self.scanner.ask(self.question(raw, client), self.now)
        if isinstance(decision, Forward) and send:
            self.scanner.sent(decision, self.now)
        return decision

    def learn(self, forward, body, status=200, content_type=SOAP_TYPE):
        """Returns the decision for the client after this answer of the scanner."""
        decision = self.scanner.learn(forward, Reply(status, content_type, body), self.now)
        if isinstance(decision, Forward):
            self.scanner.sent(decision, self.now)
        return decision

    def join(self, raw, forward, body, status=200):
        """Returns the decision for a client that waited for another client's request, after its answer."""
        return self.scanner.joined(
            self.question(raw, "192.0.2.2"), forward, Reply(status, SOAP_TYPE, body), self.now)

    def tell(self, data):
        """Delivers a notification of the scanner. Returns False if it is a duplicate."""
        notification = read_notification(data)
        assert isinstance(notification, Notification)
        return self.scanner.notifications.received(notification, self.now)

    def read(self, job_id="1"):
        """Returns state and scans as shown to a client from the table, or None if the scanner has to be asked."""
        decision = self.ask(get_job_elements(job_id, headers=UNUSUAL))
        if isinstance(decision, Answer):
            status = shown(decision.body)
            return status.state, status.scans_completed
        assert isinstance(decision, Forward | Join)
        if isinstance(decision, Forward):
            self.scanner.fail(decision, FAILED, self.now)
        return None


def shown(data):
    """Returns the status in an answer."""
    return read_response(read(data).body).status
