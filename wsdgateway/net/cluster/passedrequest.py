"""A request that is being passed on, and what it asks for.

A request is read only when that is needed, which is after trouble: usually the owner alone reads it.
"""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.bridge.cluster.passing import Course, only_reads
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.bridge.frontends.escl.requests import EsclRequest, read_request
from wsdgateway.bridge.frontends.frontend import DeviceRequest, Rejected
from wsdgateway.bridge.frontends.wsscan import Endpoint, WSScan
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.net.cluster.peerlink import Call
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.scan.operations import OTHER
from wsdgateway.soap.envelope import Envelope

DEVICE_PREFIX, SCAN, SUBSCRIPTIONS, EVENTS, ESCL = b"", b"scan", b"subscriptions", b"events", b"eSCL"
ENDPOINTS = {DEVICE_PREFIX: Endpoint.DEVICE, SCAN: Endpoint.SCAN, SUBSCRIPTIONS: Endpoint.SUBSCRIPTION}


@attrs.define(eq=False)
class PassedRequest:
    """A request that is being passed on, at the scanner's resource `prefix`, `rest` being the path below it.

    `owner` is the gateway that it was sent to last, with `call`. While it is held, `waiting` is what it waits for.
    `is_left` is true if its client has left meanwhile, `is_served` if this gateway has answered it as the owner.
    """

    exchange: Exchange
    prefix: bytes
    rest: bytes
    started: float
    course: Course | None = None
    call: Call | None = None
    owner: Registration | None = None
    waiting: Deferred[Any] | None = None
    is_left: bool = False
    is_served: bool = False

    @property
    def is_image(self) -> bool:
        """True if the scanner must be told at once when the client leaves."""
        request = self.exchange.request
        if self.prefix == ESCL:
            return request.method == b"POST" or b"/NextDocument" in self.rest
        return b"RetrieveImage" in request.body


@attrs.frozen
class Asked:
    """The properties of a request by which it is passed on, as far as they could be read.

    `relates_to` is the MessageID for an answer. `protocol` and `resource` are None for SOAP. `only_reads` is true if
    the request may be carried out twice.
    """

    operation: str = OTHER.name
    envelope: Envelope | None = None
    relates_to: str | None = None
    protocol: str | None = None
    resource: str | None = None
    only_reads: bool = False


class RequestReader:
    """Reads the requests for one scanner."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._front_ends = {prefix: WSScan(endpoint, new_id) for prefix, endpoint in ENDPOINTS.items()}

    def read(self, passed: PassedRequest) -> Asked:
        """Read a request."""
        request = passed.exchange.request
        if passed.prefix == ESCL:
            reads = request.method == b"GET" and b"/NextDocument" not in passed.rest
            escl = read_request(request.method, passed.rest)
            if not isinstance(escl, EsclRequest):
                return Asked(protocol="escl", only_reads=reads)
            return Asked((escl.operation or OTHER).name, protocol="escl", resource=escl.resource.label,
                         only_reads=reads)
        front_end = self._front_ends.get(passed.prefix)
        if front_end is None:
            return Asked(only_reads=True)  # an event that arrives twice is recognised by its MessageID
        read = front_end.read(request, passed.rest, passed.exchange.client)
        if isinstance(read, HTTPAnswer):
            return Asked(only_reads=only_reads(read))
        if isinstance(read, Rejected):
            return Asked(read.operation, read.envelope, read.relates_to, only_reads=only_reads(read))
        operation = read.name if isinstance(read, DeviceRequest) else read.operation.name
        return Asked(operation, read.envelope, read.envelope.message_id, only_reads=only_reads(read))
