"""What is counted of one bridged scanner at the moment when somebody looks: the gauges of the contract."""

from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.net.events.scandestinations import ScanDestinations
from wsdgateway.net.scanners.client import DeviceClient


class ScannerGauges:
    """Those of the scanner of that name."""

    def __init__(self, bridge: ScannerBridge, panel: ScanDestinations, device: DeviceClient) -> None:
        self.name = bridge.name
        self._bridge = bridge
        self._panel = panel
        self._device = device

    def subscriptions(self) -> dict[str, int]:
        """Live subscriptions by side."""
        bridge = self._bridge
        return {"device": int(bridge.table.listening) + len(self._panel), "client": len(bridge.subscriptions)}

    def job_states(self) -> list[str]:
        """The state of every job that is kept."""
        table = self._bridge.table
        return [job.status.state for job in table.jobs() if job.status is not None and not table.is_lost(job)]

    def waiting(self) -> int:
        """Requests that wait for the scanner: for a connection, or for its rate."""
        return self._device.waiting
