"""Sends a single request to a device that is not, or not yet, a bridged scanner.

It uses a connection of its own, and has a time limit.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from wsdgateway.bridge.decisions import Reply
from wsdgateway.config.sections import ScannerConfig
from wsdgateway.http.urls import Address, address_of
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.scanners.ratelimit import RateLimit
from wsdgateway.net.scanners.reply import read_reply
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import BadDevice
from wsdgateway.scan.operations import Operation
from wsdgateway.soap.envelope import CONTENT_TYPE
from wsdgateway.tls.trust import BY_THE_SYSTEM, Trust

TrustIn = Callable[[Address, str], Awaitable[Trust]]


async def ask_once(reactor: Any, url: str, operation: Operation, body: bytes, limit: float,
                   zone: str = "", accounting: Accounting | None = None, trust_in: TrustIn | None = None,
                   peers: set[str] | None = None) -> Reply:
    """Returns the whole answer, within `limit` seconds; `zone` is the interface of a link-local address.

    With `accounting`, the exchange is logged. `trust_in` returns how a device with TLS is verified; by default, by the
    system's authorities. The answering IP address is added to `peers`. Raises `DeviceError`.
    """
    try:
        address = address_of(url)
    except ValueError as error:
        raise BadDevice(url, str(error)) from None
    trust = await trust_in(address, zone) if trust_in is not None and address.secure else BY_THE_SYSTEM
    section = ScannerConfig("", max_connections=1, timeout=limit, idle_timeout=limit, lenient=True)
    client = DeviceClient(reactor, ScannerOptions(section, trust=trust), seconds=reactor.seconds,
                          rate_limit=RateLimit(0.0))
    client.zone = zone
    request = ScannerRequest(address, operation, body, [
        (b"Content-Type", CONTENT_TYPE), (b"User-Agent", b"wsdgateway")])
    request.tape, started = (None, 0.0) if accounting is None else (accounting.tape(), accounting.now())
    reply: Reply | None = None
    try:
        reply = await read_reply(await client.request(request))
        if peers is not None:
            peers |= client.peers
        return reply
    finally:
        if accounting is not None:
            status, answer = (None, b"") if reply is None else (reply.status, reply.body)
            accounting.own(operation.name, started, body, status, answer, request.tape)
        await client.stop()
