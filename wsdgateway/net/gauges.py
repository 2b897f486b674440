"""The gauges of one bridged scanner, which are computed when the metrics are read."""

from collections.abc import Callable

from wsdgateway.bridge.health.health import Health
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.net.scanners.client import DeviceClient


class ScannerGauges:
    """The gauges of one scanner, whose `name` is their label, and whose `health` is shown.

    `on_panel` returns the number of live subscriptions for names on the panel.
    """

    def __init__(self, bridge: ScannerBridge, on_panel: Callable[[], int], device: DeviceClient,
                 health: Callable[[], Health]) -> None:
        self.name = bridge.name
        self._bridge = bridge
        self._on_panel = on_panel
        self._device = device
        self.health = health

    def subscriptions(self) -> dict[str, int]:
        """Live subscriptions by side; those at a scanner that cannot be reached are not known to be live."""
        bridge = self._bridge
        held = 0 if self.health().reachable is False else int(bridge.table.listening) + self._on_panel()
        return {"device": held, "client": len(bridge.subscriptions)}

    def job_states(self) -> list[str]:
        """The state of each job that is kept and has one that is known."""
        table = self._bridge.table
        return [job.status.state for job in table.jobs()
                if job.status is not None and not job.closing and not table.is_lost(job)]

    def waiting(self) -> int:
        """The number of requests that wait for a connection to the scanner, or for its rate."""
        return self._device.waiting
