"""The front end for directed discovery: Probe and Resolve over HTTP, for all scanners.

DPWS 2006/02, section 4; WS-Discovery 1.1, section 5, for clients of a discovery proxy.
"""

from collections.abc import Callable

from wsdgateway.bridge.decisions import Answer, Refuse
from wsdgateway.bridge.frontends.frontend import DeviceRequest, Rejected
from wsdgateway.bridge.frontends.soaphttp import check_soap, soap_answer, soap_fault
from wsdgateway.discovery.messages import read_addressed
from wsdgateway.discovery.versions import discovery_request
from wsdgateway.http.answers import NOT_FOUND, HTTPAnswer
from wsdgateway.http.messages import charset_of
from wsdgateway.http.requests import Request
from wsdgateway.soap.faults import action_missing, action_not_supported, unreadable
from wsdgateway.soap.obligations import not_understood
from wsdgateway.soap.parsing import Malformed


class DirectedFrontEnd:
    """The front end for directed discovery at one address. `new_id` makes message ids."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id

    def read(self, request: Request, rest: bytes, client: str) -> DeviceRequest | Rejected | HTTPAnswer:
        """Read the Probe or Resolve in a request.

        Returns 404, 405 or 415 for a path below the address, or if it is not SOAP.
        """
        refusal = NOT_FOUND if rest else check_soap(request)
        if refusal is not None:
            return refusal
        try:
            envelope = read_addressed(request.body, charset_of(request.content_type))
        except Malformed as error:
            return Rejected(unreadable("request", error), error.message_id)
        name = None if envelope.action is None else discovery_request(envelope.action)
        fault = not_understood(envelope)
        if fault is None and name is not None:
            return DeviceRequest(envelope, name)
        return Rejected(fault or (action_missing() if envelope.action is None else action_not_supported(
            envelope.action)), envelope.message_id, envelope=envelope)

    def write(self, decision: Answer | Refuse, request: DeviceRequest | Rejected) -> HTTPAnswer:
        """Write an envelope with matches, or with a fault."""
        if isinstance(decision, Answer):
            return soap_answer(decision)
        relates_to = request.relates_to if isinstance(request, Rejected) else request.envelope.message_id
        return soap_fault(decision.fault, relates_to, self._new_id())
