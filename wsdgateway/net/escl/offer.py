"""Reads what a scanner offers, as the answer cache keeps it, and makes its eSCL capabilities.

WS-Scan, GetScannerElements. Clients ask for the capabilities whenever they open a scanner, so that the last ones that
were read are given while the scanner cannot be asked.
"""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.bridge.frontends.escl.capabilities import Identity, capabilities_of
from wsdgateway.bridge.scanjobs.scanjob import Refusal
from wsdgateway.escl.scannercapabilities import ScannerCapabilities
from wsdgateway.metadata.messages import Labels
from wsdgateway.net.scanjobs.jobrequests import JobRequests
from wsdgateway.net.scanjobs.waiting import first_of
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.reading import text
from wsdgateway.scan.scannerconfiguration import ScannerConfiguration, read_configuration
from wsdgateway.scan.scannerelements import read_elements
from wsdgateway.scan.scanticket import ScanTicket
from wsdgateway.soap.envelope import Envelope

ASK_SECONDS = 7.0  # NAPS2 waits for 10, sane-airscan for 20
_NAMES = ("ScannerDescription", "ScannerConfiguration", "DefaultScanTicket")


@attrs.frozen
class Offer:
    """What a scanner offers: its configuration and the parameters of its default ticket; its name and location."""

    configuration: ScannerConfiguration
    default: DocumentParameters
    name: str
    location: str = ""

    def capabilities(self, labels: Labels, endpoint: str, admin_uri: str, *, detects_paper: bool,
                     icon_uri: str | None = None) -> ScannerCapabilities | None:
        """The eSCL capabilities; None if no eSCL client can use the scanner. `endpoint` identifies it for ever."""
        return capabilities_of(
            Identity(labels.manufacturer, labels.model or self.name, endpoint, labels.serial_number,
                     admin_uri=admin_uri, icon_uri=icon_uri),
            self.configuration, self.default, detects_paper=detects_paper)


class OfferReader:
    """Reads the offer of one scanner. `last` is the last one that was read; `on_change` is called after a change."""

    def __init__(self, reactor: Any, requests: JobRequests, is_located: Callable[[], bool]) -> None:
        self._reactor = reactor
        self._requests = requests
        self._is_located = is_located
        self.last: Offer | None = None
        self.on_change: Callable[[], None] = lambda: None

    async def read(self, client: str) -> Offer | None:
        """The offer, read for that client; the last one if the scanner does not answer in time; None without any."""
        if self._is_located():
            found = await first_of(self._reactor, ASK_SECONDS, Deferred.fromCoroutine(self._ask(client)))
            if found is not None and found != self.last:
                self.last = found
                self.on_change()
        return self.last

    async def _ask(self, client: str) -> Offer | None:
        answer = await self._requests.elements(_NAMES, client)
        if isinstance(answer, Refusal) and not answer.unreachable:
            answer = await self._requests.elements(("ScannerConfiguration",), client)  # without optional elements
        return None if isinstance(answer, Refusal) else _read(answer)


def _read(answer: Envelope) -> Offer | None:
    elements = read_elements(answer.body)
    configuration, ticket = elements.get("ScannerConfiguration"), elements.get("DefaultScanTicket")
    description = elements.get("ScannerDescription")
    if configuration is None:
        return None
    return Offer(
        read_configuration(configuration),
        DocumentParameters() if ticket is None else ScanTicket.read(ticket).parameters,
        *("" if description is None else text(description, name) or "" for name in ("ScannerName", "ScannerLocation")))
