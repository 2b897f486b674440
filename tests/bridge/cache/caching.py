"""A bridged scanner with an answer cache, and the reads that clients share."""

from tests.bridge.bridges import FAILED, Bridge
from tests.messages import SCAN, envelope, get_scanner_elements, listing, scanner_elements
from wsdgateway.bridge.decisions import Answer, Forward, Pass

DESCRIPTION, STATUS = ("ScannerDescription",), ("ScannerStatus",)
BOTH = ("ScannerConfiguration", "ScannerStatus")
ACTIVE, HISTORY = ("GetActiveJobs", "ActiveJobs"), ("GetJobHistory", "JobHistory")


class CachingBridge(Bridge):
    """A bridge that caches answers."""

    def tell(self, data):
        assert super().tell(data)

    def cache_elements(self, names=DESCRIPTION, note="1"):
        """Lets an answer be cached."""
        forward = self.ask(get_scanner_elements(*names))
        assert isinstance(self.learn(forward, scanner_elements(*names, note=note)), Pass)

    def cache_list(self, which=ACTIVE, *jobs):
        """Lets a list of jobs be cached."""
        forward = self.ask(plain(which[0]))
        assert isinstance(self.learn(forward, listing(*which, *jobs)), Pass)

    def is_cached(self, raw):
        """Returns whether a request is answered from the cache; a request to the scanner fails."""
        decision = self.ask(raw)
        if isinstance(decision, Forward):
            self.scanner.fail(decision, FAILED, self.now)
        return isinstance(decision, Answer)


def plain(operation, **more):
    """Returns a WS-Scan request without contents."""
    return envelope(f"{SCAN}/{operation}", f"<wscn:{operation}Request/>", **more)
