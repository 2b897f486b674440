"""Reads what a scanner offers, as the answer cache keeps it, and makes its eSCL capabilities.

WS-Scan, GetScannerElements. Clients ask for the capabilities whenever they open a scanner, so that the last ones that
were read are given while the scanner cannot be asked, or does not answer at once.
"""

from collections.abc import Callable
from typing import Any

import attrs
from lxml import etree
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.bridge.frontends.escl.capabilities import Identity, capabilities_of
from wsdgateway.bridge.scanjobs.scanjob import Refusal
from wsdgateway.escl.scannercapabilities import ScannerCapabilities
from wsdgateway.metadata.messages import Labels
from wsdgateway.net.scanjobs.jobrequests import JobRequests
from wsdgateway.net.scanjobs.waiting import first_of
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.scannerconfiguration import ScannerConfiguration, read_configuration
from wsdgateway.scan.scannerelements import described, read_elements
from wsdgateway.scan.scanticket import ScanTicket
from wsdgateway.soap.parsing import Malformed, parse

ASK_SECONDS = 7.0  # NAPS2 waits for 10, sane-airscan for 20
FRESH_SECONDS = 0.5  # that clients wait for a newer offer than the known one
_NAMES = ("ScannerDescription", "ScannerConfiguration", "DefaultScanTicket")


@attrs.frozen
class Offer:
    """The offer of a scanner: its configuration and the parameters of its default ticket; its name and location."""

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
    """Reads the offer of one scanner. `last` is the last one that is known; `on_change` is called after a change.

    `elements` is the answer that it was read from, as XML; empty if it was not read since the start. `is_away` is true
    if the scanner is known not to answer.
    """

    log = Logger()

    def __init__(self, reactor: Any, requests: JobRequests, is_located: Callable[[], bool],
                 is_away: Callable[[], bool]) -> None:
        self._reactor = reactor
        self._requests = requests
        self._is_located = is_located
        self._is_away = is_away
        self._reading: Deferred[None] | None = None
        self.last: Offer | None = None
        self.elements = ""
        self.on_change: Callable[[], None] = lambda: None

    async def read(self, client: str) -> Offer | None:
        """The offer, read for that client; None if none is known.

        If one is known, a scanner that does not answer at once is not waited for: it is read on, and its offer is that
        of later clients.
        """
        if not self._is_located():
            return self.last
        reading = self.refresh(client)
        if self.last is None:
            await first_of(self._reactor, ASK_SECONDS, reading)
        elif not self._is_away():
            await first_of(self._reactor, FRESH_SECONDS, reading)
        return self.last

    def refresh(self, client: str = "") -> Deferred[None]:
        """Read the offer; fires when it is known, or cannot be read. A reading that is under way is joined."""
        if self._reading is None:
            self._reading = Deferred.fromCoroutine(self._read(client))
            self._reading.addErrback(lambda failure: self.log.failure("Reading what a scanner offers failed", failure))
            self._reading.addBoth(self._over)
        done: Deferred[None] = Deferred()
        if self._reading is None:
            done.callback(None)
        else:
            self._reading.addBoth(done.callback)
        return done

    def _over(self, _: object) -> None:
        self._reading = None

    def restore(self, offer: Offer) -> None:
        """Give an offer of an earlier start, until the scanner is read."""
        self.last = offer
        self.on_change()

    def forget(self) -> None:
        """Give no offer until the scanner is read."""
        self.last, self.elements = None, ""
        self.on_change()

    async def _read(self, client: str) -> None:
        answer = await self._requests.elements(_NAMES, client)
        if isinstance(answer, Refusal) and not answer.unreachable:
            answer = await self._requests.elements(("ScannerConfiguration",), client)  # without optional elements
        found = None if isinstance(answer, Refusal) else _offer_in(answer.body)
        if found is None or isinstance(answer, Refusal) or answer.body is None:
            return
        changed, is_first = found != self.last, not self.elements
        self.last, self.elements = found, etree.tostring(
            answer.body, encoding="unicode", with_tail=False)
        if changed or is_first:
            self.on_change()


def read_offer(elements: str) -> Offer | None:
    """The offer in a GetScannerElementsResponse; None if there is none."""
    try:
        return _offer_in(parse(elements.encode()))
    except Malformed:
        return None


def _offer_in(body: etree._Element | None) -> Offer | None:
    elements = read_elements(body)
    configuration, ticket = elements.get("ScannerConfiguration"), elements.get("DefaultScanTicket")
    description = elements.get("ScannerDescription")
    if configuration is None:
        return None
    return Offer(
        read_configuration(configuration),
        DocumentParameters() if ticket is None else ScanTicket.read(ticket).parameters,
        *("" if description is None else described(description, name) for name in ("ScannerName", "ScannerLocation")))
