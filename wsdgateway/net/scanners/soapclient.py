"""Sends the gateway's own SOAP requests to a scanner."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from wsdgateway.bridge.decisions import Reply
from wsdgateway.http.urls import address_of
from wsdgateway.metrics import ERROR, Metrics
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.reply import outcome_of, read_reply
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import BadDevice, DeviceError
from wsdgateway.scan.operations import Operation
from wsdgateway.soap.envelope import CONTENT_TYPE


class SendRequest(Protocol):
    """The interface of a function that sends one of the gateway's own requests to a scanner."""

    def __call__(self, url: str, operation: Operation, body: bytes) -> Awaitable[Reply]:
        """Returns the whole answer. Raises `DeviceError`."""


class SoapClient:
    """Sends the gateway's own requests to one scanner, through the same `device` client as clients' requests.

    `on_broken` is called when the scanner has received a request and given no answer.
    """

    def __init__(self, scanner: str, device: DeviceClient, metrics: Metrics, accounting: Accounting, *,
                 on_broken: Callable[[], None] = lambda: None) -> None:
        self._scanner = scanner
        self._device = device
        self._metrics = metrics
        self._accounting = accounting
        self._on_broken = on_broken

    async def send(self, url: str, operation: Operation, body: bytes, *,
                   begun: Callable[[ScannerRequest], None] = lambda request: None) -> Reply:
        """Sends a request to the scanner, after calling `begun` with it. Raises `DeviceError`."""
        try:
            return await self.send_by(self._device, url, operation, body, begun=begun)
        except DeviceError as error:
            if error.sent:
                self._on_broken()
            raise

    async def send_beside(self, url: str, operation: Operation, body: bytes) -> Reply:
        """Sends a request to a possible new address of the scanner, over another connection. Raises `DeviceError`."""
        client = self._device.beside()
        client.zone = self._device.zone
        try:
            return await self.send_by(client, url, operation, body)
        finally:
            await client.stop()

    async def send_by(self, device: DeviceClient, url: str, operation: Operation, body: bytes, *,
                      begun: Callable[[ScannerRequest], None] = lambda request: None) -> Reply:
        """Sends a request to the scanner with that client. Raises `DeviceError`."""
        try:
            address = address_of(url)
        except ValueError as error:
            raise BadDevice(url, str(error)) from None
        request = ScannerRequest(address, operation, body, [
            (b"Content-Type", CONTENT_TYPE), (b"User-Agent", b"wsdgateway")])
        request.tape, request.from_gateway = self._accounting.tape(), True
        started = self._accounting.now()
        begun(request)
        try:
            reply = await read_reply(await device.request(request))
        except DeviceError as error:
            error.sent = request.sent
            self._accounting.own(operation.name, started, body, None, b"", request.tape)
            self._metrics.device_request(self._scanner, operation.name, ERROR)
            raise
        self._accounting.own(operation.name, started, body, reply.status, reply.body, request.tape)
        self._metrics.device_request(self._scanner, operation.name, outcome_of(reply.status, reply.fault))
        return reply
