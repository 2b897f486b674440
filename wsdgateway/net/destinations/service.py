"""The gateway's own destinations at one scanner: their registration on the panel, and the scans that it starts."""

from collections.abc import Callable, Iterable
from functools import partial

from twisted.logger import Logger

from wsdgateway.bridge.destinations.presses import destination_of, read_press
from wsdgateway.bridge.destinations.registering import Entry, entries_for, is_own
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.net.destinations.registration import Registration
from wsdgateway.net.destinations.scans import Scans
from wsdgateway.net.destinations.shared import SharedDestinations
from wsdgateway.net.events.scandestinations import ScanDestinations
from wsdgateway.net.scanjobs.execution import ScanJobExecution
from wsdgateway.net.scanjobs.jobrequests import JobRequests
from wsdgateway.soap.envelope import Envelope

MAX_WARNED = 256  # clients and names, of one scanner


class PanelDestinations:
    """The destinations of one scanner. `clients` returns the subscriptions of clients, which may use the same names."""

    log = Logger()

    def __init__(self, scanner: str, shared: SharedDestinations, panel: ScanDestinations, requests: JobRequests,
                 execution: Callable[[], ScanJobExecution], *, conditions: Callable[[], tuple[str, ...]],
                 clients: Callable[[], Iterable[Subscription]], on_lost: Callable[[], None]) -> None:
        self._scanner = scanner
        self._shared = shared
        self._clients = clients
        self._warned: set[tuple[str, str]] = set()
        self.registration = Registration(scanner, panel, on_lost=on_lost, on_granted=self._granted)
        self.scans = Scans(scanner, shared, requests, execution, self.registration.token_for, conditions)
        self.configure()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries of the panel, as configured."""
        return entries_for(self._shared.gateway, (one.name for one in self._shared.on_panel(self._scanner)))

    def configure(self) -> None:
        """Use the current configuration."""
        self.registration.configure(self.entries)

    def begin(self, left: list[Held]) -> None:
        """Register the destinations; `left` are the subscriptions that an earlier start has left at the scanner."""
        self.registration.begin(left)

    def _granted(self) -> None:
        self.scans.tokens_changed()
        self.check_names()

    def rebooted(self) -> None:
        """Handle a restart of the scanner, which may have forgotten the destinations."""
        self.scans.presses.rebooted()
        self.registration.doubt()

    def check_names(self) -> None:
        """Warn once of each name that a client shows on the same panel, too. Both are served."""
        names = {entry.name for entry in self.entries}
        for one in self._clients():
            for _, name in one.destinations.listed if one.destinations is not None else ():
                if name in names and (one.client, name) not in self._warned and len(self._warned) < MAX_WARNED:
                    self._warned.add((one.client, name))
                    self.log.warn("{scanner}: {client} shows the name {name} on the panel, as a [[destination]] does; "
                                  "people cannot tell the two apart", scanner=self._scanner, client=one.client,
                                  name=name)

    def press_for(self, identifier: str) -> Callable[[Envelope], None] | None:
        """The handler of presses that are sent to that subscription; None if it is not for destinations."""
        return partial(self._pressed, identifier) if is_own(identifier) else None

    def _pressed(self, identifier: str, event: Envelope) -> None:
        """Handle a ScanAvailableEvent that was sent to the subscription with that identifier."""
        press = read_press(event.body)
        entries = self.registration.entries_of(identifier)
        if press is None:
            return
        entry = destination_of(press, entries or ())
        if entry is None:
            self.log.warn("{scanner}: the scan that was started at the panel is not carried out, because its "
                          "destination is not one of this gateway, or not any more: {context}", scanner=self._scanner,
                          context=press.context)
            return
        self.scans.press(entry, press)
