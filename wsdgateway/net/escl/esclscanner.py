"""One bridged scanner as an eSCL scanner: what it offers, its service, and the jobs of its clients."""

from collections.abc import Callable

from wsdgateway.bridge.frontends.escl.status import is_silent
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.metadata.messages import Labels
from wsdgateway.net.context import Context, EsclContext
from wsdgateway.net.escl.jobs import EsclJobs
from wsdgateway.net.escl.offer import OfferReader
from wsdgateway.net.escl.offerkeeper import OfferKeeper
from wsdgateway.net.escl.service import EsclService, ScannerView
from wsdgateway.net.presence.monitor import Monitor
from wsdgateway.net.presence.statuscheck import StatusCheck
from wsdgateway.net.scanjobs.execution import ScanJobExecution
from wsdgateway.net.scanjobs.jobrequests import JobRequests
from wsdgateway.net.scanjobs.leftovers import Leftovers
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.scan.scannerstatus import ScannerStatus


class EsclScanner:
    """The eSCL side of one scanner. `service` answers its clients, `jobs` are theirs, `offers` reads what it offers.

    `options` gives the scanner's current options, `is_away` tells whether it is known to be unreachable, which has its
    health confirmed. `check` asks it for its status.
    """

    def __init__(self, context: Context, shared: EsclContext, bridge: ScannerBridge, device: DeviceClient,
                 monitor: Monitor, check: StatusCheck, requests: JobRequests, execution: ScanJobExecution,
                 leftovers: Leftovers, accounting: Accounting, *, options: Callable[[], ScannerOptions],
                 is_away: Callable[[], bool]) -> None:
        self._context = context
        self._bridge = bridge
        self._device = device
        self._monitor = monitor
        self._check = check
        self._options = options
        self._is_away = is_away
        self.jobs = EsclJobs(context.reactor, execution, leftovers, context.seconds)
        view = ScannerView(
            bridge.name, lambda: self.labels, lambda: self.endpoint, monitor.read_endpoint, self._status, check.confirm,
            lambda: monitor.locate() if bridge.device is None else None, lambda: bridge.device is not None,
            lambda: options().section.escl)
        self.offers = OfferReader(context.reactor, requests, view.is_located, is_away)
        section = options().section
        self._keeper = OfferKeeper(
            bridge.name, str(section.scan or section.device or section.uuid), shared.kept, context.store, self.offers,
            self._own_endpoint, lambda: monitor.labels,
            lambda: monitor.stand_in.service is not None or monitor.has_left)
        self.restore()
        self.offers.on_change = self._offer_changed
        self.service = EsclService(context.reactor, view, self.jobs, self.offers, shared, context.permission,
                                   accounting)

    def _status(self) -> ScannerStatus | None:
        """The scanner's status; None if it is away, or does not answer although it is not busy with a job."""
        silent = not self._device.is_scanning and is_silent(
            self._check.waiting_since, self._device.last_received, self._context.seconds())
        return None if self._is_away() or silent else self._bridge.reported.status

    def _offer_changed(self) -> None:
        self.look()
        self._context.on_presence(self._bridge.name)

    def look(self) -> None:
        """Notice that the scanner has come, gone or changed."""
        self._keeper.look()

    def refresh(self) -> None:
        """Read the scanner's offer again, if it was read before: after a restart it may be another one."""
        if self.offers.last is not None and self._options().section.escl:
            self.offers.refresh()

    def restore(self) -> None:
        """Use the offer that was stored when the scanner was last read, until it is read again."""
        self._keeper.restore()

    @property
    def is_here(self) -> bool:
        """True while the scanner is offered, and its stand-in is announced to WSD clients.

        After a start, also true for a scanner that was read earlier, until it is known whether it is there.
        """
        return self._options().section.escl and (
            self._keeper.is_expected or self._monitor.stand_in.service is not None)

    @property
    def labels(self) -> Labels:
        """The scanner's names; those from before the start until it answers."""
        return self._keeper.labels

    @property
    def endpoint(self) -> str | None:
        """The text from which the uuid of the eSCL scanner is made: the scanner's own uuid, or its fixed address.

        The metadata of some scanners have no uuid; then it is the endpoint address of the stand-in.
        """
        return self._keeper.endpoint

    def _own_endpoint(self) -> str | None:
        section = self._options().section
        return f"{section.scan} {self._bridge.name}" if section.scan else (
            self._monitor.endpoint or self._monitor.stand_in.endpoint)
