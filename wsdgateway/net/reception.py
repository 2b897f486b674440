"""What answers at which path: the contract's section on addresses.

404, 405 and 415 are said here; everything past that is SOAP and has a scanner.
"""

from collections.abc import Callable
from functools import partial

from wsdgateway.bridge.routing import Endpoint
from wsdgateway.http.messages import is_soap
from wsdgateway.net.scanner import Scanner
from wsdgateway.net.turn import Turn
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import action_missing, action_not_supported, invalid_args, write_fault
from wsdgateway.soap.parsing import Malformed

STABLE = b"/StableWSDiscoveryEndpoint/schemas-xmlsoap-org_ws_2005_04_discovery"

_TEXT = b"text/plain; charset=utf-8"

Place = Callable[[Turn], None]


class Reception:
    """Sends each request to where it belongs."""

    def __init__(self, *, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._scanners: dict[bytes, Scanner] = {}
        self._places: dict[bytes, Place] = {b"/": self._discovery, STABLE: self._discovery}

    def add(self, scanner: Scanner) -> None:
        """From now on the scanner answers at its addresses."""
        name = scanner.name.encode()
        self._scanners[name] = scanner
        self._places[b"/" + name] = partial(scanner.serve, endpoint=Endpoint.DEVICE)
        self._places[b"/" + name + b"/scan"] = partial(scanner.serve, endpoint=Endpoint.SCAN)

    def respond(self, turn: Turn) -> None:
        """Answer a request, now or later."""
        request = turn.request
        place = self._places.get(request.path) or self._find(request.path)
        if place is None:
            turn.answer(404, b"Nothing answers at this address.\n", _TEXT)
        elif request.method != b"POST":
            turn.answer(405, b"SOAP is sent by POST.\n", _TEXT, ((b"Allow", b"POST"),))
        elif not is_soap(request.content_type):
            turn.answer(415, b"Send SOAP 1.2 as application/soap+xml.\n", _TEXT)
        else:
            place(turn)

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

    def _discovery(self, turn: Turn) -> None:
        try:
            envelope = read(turn.request.body)
        except Malformed as error:
            fault, relates_to = invalid_args(f"The request can't be read: {error}."), error.message_id
        else:
            relates_to = envelope.message_id
            fault = action_not_supported(envelope.action) if envelope.action else action_missing()
        turn.answer(fault.status, write_fault(fault, relates_to=relates_to, message_id=self._new_id()))
