"""A bridged scanner whose answers are kept, and the reads that many clients share."""

from tests.bridge.bridges import FAILED, Bridge
from tests.messages import SCAN, envelope, get_scanner_elements, listing, scanner_elements
from wsdgateway.bridge.decisions import Answer, Forward, Pass

DESCRIPTION, STATUS = ("ScannerDescription",), ("ScannerStatus",)
BOTH = ("ScannerConfiguration", "ScannerStatus")
ACTIVE, HISTORY = ("GetActiveJobs", "ActiveJobs"), ("GetJobHistory", "JobHistory")


class CachingBridge(Bridge):
    """A bridge whose answers are kept."""

    def tell(self, data):
        assert super().tell(data)

    def keep(self, names=DESCRIPTION, note="1"):
        """Let an answer be kept."""
        forward = self.ask(get_scanner_elements(*names))
        assert isinstance(self.learn(forward, scanner_elements(*names, note=note)), Pass)

    def keep_list(self, which=ACTIVE, *jobs):
        """Let a list of jobs be kept."""
        forward = self.ask(plain(which[0]))
        assert isinstance(self.learn(forward, listing(*which, *jobs)), Pass)

    def is_kept(self, raw):
        """Return whether a request is answered; one to the scanner fails."""
        decision = self.ask(raw)
        if isinstance(decision, Forward):
            self.scanner.fail(decision, FAILED, self.now)
        return isinstance(decision, Answer)


def plain(operation, **more):
    """A request of WS-Scan with nothing in it."""
    return envelope(f"{SCAN}/{operation}", f"<wscn:{operation}Request/>", **more)
