"""Reads the capabilities of the eSCL scanners that are to be announced, and keeps them as they are announced."""

from collections.abc import Callable, Iterable

from twisted.logger import Logger

from wsdgateway.escl.scannercapabilities import ScannerCapabilities
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.transport.tasks import Tasks

READ_AGAIN = 60.0  # seconds until capabilities that could not be read are asked for again


class EsclCapabilities:
    """The capabilities of the scanners that are there.

    `look_at` is called with the time of the next attempt, in `seconds`, while some could not be read. Failures are
    logged while `is_running` is true.
    """

    log = Logger()

    def __init__(self, seconds: Callable[[], float], look_at: Callable[[float], None],
                 is_running: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._look_at = look_at
        self._is_running = is_running
        self._known: dict[BridgedScanner, tuple[object, ScannerCapabilities | None]] = {}
        self._asked: dict[BridgedScanner, float] = {}  # when each scanner that is there was asked
        self._reading = Tasks("Reading the eSCL capabilities of a scanner failed")

    def follow(self, scanners: Iterable[BridgedScanner], here: Iterable[BridgedScanner]) -> None:
        """Read the capabilities that are missing of those that are `here`; forget all but the `scanners`."""
        here, scanners = list(here), list(scanners)
        self._asked = {one: at for one, at in self._asked.items() if one in here}
        self._known = {one: known for one, known in self._known.items() if one in scanners}
        for one in here:
            self._ask(one)

    def _ask(self, scanner: BridgedScanner) -> None:
        """Read the capabilities of a scanner when it appears, and again while they could not be read."""
        assert scanner.escl is not None
        offers, now = scanner.escl.offers, self._seconds()
        at = self._asked.get(scanner)
        if at is None or (offers.last is None and now >= at + READ_AGAIN):
            self._asked[scanner] = now
            self._reading.run(self._read(scanner))
        if offers.last is None:
            self._look_at(self._asked[scanner] + READ_AGAIN)

    async def _read(self, scanner: BridgedScanner) -> None:
        assert scanner.escl is not None
        if await scanner.escl.offers.read("") is None and self._is_running() and scanner.escl.is_here:
            self.log.warn("{scanner}: not announced to eSCL clients, because its capabilities could not be read; "
                          "trying again every {seconds:g} s", scanner=scanner.name, seconds=READ_AGAIN)

    def of(self, scanner: BridgedScanner) -> ScannerCapabilities | None:
        """The capabilities of a scanner as far as they are announced; None while they are not known."""
        if scanner.escl is None:
            return None
        offer, endpoint, labels = scanner.escl.offers.last, scanner.escl.endpoint, scanner.escl.labels
        if offer is None or endpoint is None:
            return None
        made_from = offer, endpoint, labels
        known = self._known.get(scanner)
        if known is None or known[0] != made_from:
            known = self._known[scanner] = made_from, offer.capabilities(labels, endpoint, "", detects_paper=False)
        return known[1]
