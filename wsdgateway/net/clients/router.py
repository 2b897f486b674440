"""What answers at which path: the contract's section on addresses.

404, 405 and 415 are said here; everything past that is SOAP and has a scanner.
"""

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.bridge.decisions import Refuse
from wsdgateway.bridge.frontends.wsscan import Endpoint
from wsdgateway.discovery.messages import read_addressed
from wsdgateway.discovery.versions import discovery_request
from wsdgateway.http.messages import NOT_SOAP, charset_of, is_soap
from wsdgateway.metrics import RATE, REFUSED
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.discovery.directed import DirectedDiscovery
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.scan.operations import OTHER
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.faults import action_missing, action_not_supported, unreadable
from wsdgateway.soap.obligations import not_understood
from wsdgateway.soap.parsing import Malformed

STABLE = b"/StableWSDiscoveryEndpoint/schemas-xmlsoap-org_ws_2005_04_discovery"

_TEXT = b"text/plain; charset=utf-8"

Place = Callable[[Exchange], None]


class Router:
    """Sends each request to where it belongs."""

    log = Logger()

    def __init__(self, accounting: Accounting, *, new_id: Callable[[], str], directed: DirectedDiscovery,
                 permission: Permission, quotas: Quotas) -> None:
        self._accounting = accounting
        self._permission = permission
        self._quotas = quotas
        self._new_id = new_id
        self._directed = directed
        self._scanners: dict[bytes, BridgedScanner] = {}
        self._places: dict[bytes, Place] = {b"/": self._discovery, STABLE: self._discovery}

    def add(self, scanner: BridgedScanner) -> None:
        """From now on the scanner answers at its addresses."""
        name = scanner.name.encode()
        self._scanners[name] = scanner
        self._places[b"/" + name] = partial(scanner.serve, endpoint=Endpoint.DEVICE)
        self._places[b"/" + name + b"/scan"] = partial(scanner.serve, endpoint=Endpoint.SCAN)

    def remove(self, scanner: BridgedScanner) -> None:
        """It is not bridged any more."""
        name = scanner.name.encode()
        del self._scanners[name], self._places[b"/" + name], self._places[b"/" + name + b"/scan"]

    def respond(self, turn: Exchange) -> None:
        """Answer a request, now or later."""
        request = turn.request
        place = self._places.get(request.path) or self._find(request.path)
        if self._quotas.is_limited(turn.client) and not self._is_admitted(turn, place):
            turn.answer(429, b"This client asks too often; wait a second.\n", _TEXT, ((b"Retry-After", b"1"),))
            self._accounting.refused(RATE, turn.client, "a request")
        elif place is None:
            turn.answer(404, b"Nothing answers at this address.\n", _TEXT)
        elif request.method != b"POST":
            turn.answer(405, b"SOAP is sent by POST.\n", _TEXT, ((b"Allow", b"POST"),))
            if request.body:
                self.unread(turn.client, request.path)
        elif not is_soap(request.content_type) and not _is_of_events(request.path):
            turn.answer(415, NOT_SOAP, _TEXT)
        else:
            place(turn)
            return
        self._accounting.client(turn, OTHER.name, REFUSED, self._accounting.now())

    def _is_admitted(self, turn: Exchange, place: Place | None) -> bool:
        """Whether the client may ask now. What a scanner notifies, at an address that it was given, is none of that."""
        if place is not None and _is_of_events(turn.request.path) and self._scanners[
                turn.request.path.split(b"/")[1]].sink.may_notify(turn.client):
            return True
        return self._quotas.admits_request(turn.client, self._accounting.now())

    def unread(self, client: str, path: bytes) -> None:
        """A request to that path broke off or was refused before it was whole; it may have been a notification."""
        parts = path.split(b"/")
        if _is_of_events(path) and len(parts) == 4 and parts[1] in self._scanners:
            self._scanners[parts[1]].sink.unread(parts[3].decode("latin-1"), client)

    def _find(self, path: bytes) -> Place | None:
        """The addresses with a part that is made while we run."""
        parts = path.split(b"/")
        if len(parts) != 4 or parts[0] or not parts[3] or parts[1] not in self._scanners:
            return None
        scanner = self._scanners[parts[1]]
        if parts[2] == b"subscriptions":
            return partial(scanner.serve, endpoint=Endpoint.SUBSCRIPTION, subscription=parts[3].decode("latin-1"))
        if parts[2] == b"events":
            return scanner.sink.place(parts[3].decode("latin-1"))
        return None

    def _discovery(self, turn: Exchange) -> None:
        """Directed Probe and Resolve for every scanner at once."""
        started = self._accounting.now()
        envelope: Envelope | None = None
        try:
            envelope = read_addressed(turn.request.body, charset_of(turn.request.content_type))
        except Malformed as error:
            turn.refuse(unreadable("request", error), error.message_id, self._new_id())
        else:
            name = None if envelope.action is None else discovery_request(envelope.action)
            fault = not_understood(envelope)
            if name is not None and fault is None:
                answering = Deferred.fromCoroutine(self._discover(turn, envelope, name, started))
                answering.addErrback(self._failed, turn, started)
                return
            turn.refuse(fault or (action_missing() if envelope.action is None else action_not_supported(
                envelope.action)), envelope.message_id, self._new_id())
        self._accounting.client(turn, OTHER.name, REFUSED, started, envelope)

    async def _discover(self, turn: Exchange, envelope: Envelope, name: str, started: float) -> None:
        stand_ins = [scanner.stand_in for scanner in self._scanners.values()
                     if self._permission.allows(turn.client, scanner.name, name)]
        decision, source = await self._directed.answer(stand_ins, envelope, turn.base())
        if isinstance(decision, Refuse):
            turn.refuse(decision.fault, envelope.message_id, self._new_id())
        else:
            turn.answer(200, decision.body)
        self._accounting.client(turn, name, source, started, envelope)

    def _failed(self, failure: Failure, turn: Exchange, started: float) -> None:
        self.log.failure("while answering {client}", failure, client=turn.client)
        if not turn.gone:
            turn.abort()
        self._accounting.client(turn, OTHER.name, REFUSED, started)


def _is_of_events(path: bytes) -> bool:
    """Whether a path is one where a scanner notifies."""
    return path.split(b"/")[2:3] == [b"events"]
