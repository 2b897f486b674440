"""Sends questions of the gateway's own to a scanner, one at a time, and gives up one that is not answered."""

from wsdgateway.bridge.decisions import Reply
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.scanners.soapclient import SoapClient
from wsdgateway.scan.operations import Operation


class Question:
    """The question that is under way at one scanner, if there is one."""

    def __init__(self, requests: SoapClient, device: DeviceClient) -> None:
        self._requests = requests
        self._device = device
        self._request: ScannerRequest | None = None

    async def send(self, url: str, operation: Operation, body: bytes) -> Reply:
        """Send a question. Raises `DeviceError`, also if it was given up."""
        return await self._requests.send(url, operation, body, begun=self._begun)

    def _begun(self, request: ScannerRequest) -> None:
        self._request = request

    def give_up(self, silent_since: float) -> None:
        """End the question if it was sent and has no answer yet; the scanner has been silent since that time."""
        if self._request is not None:
            self._device.give_up(self._request, silent_since)
