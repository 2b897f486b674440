"""One question to a device that is no bridged scanner, or none yet: a connection of its own, and a bound for all."""

from collections.abc import Awaitable, Callable
from typing import Any

from wsdgateway.bridge.decisions import Reply
from wsdgateway.net.scanners.address import Address, address_of
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.reply import read_reply
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import BadDevice
from wsdgateway.scan.operations import Operation
from wsdgateway.soap.envelope import CONTENT_TYPE
from wsdgateway.tls.trust import Trust

TrustIn = Callable[[Address, str], Awaitable[Trust]]


async def ask_once(reactor: Any, url: str, operation: Operation, body: bytes, limit: float,
                   zone: str = "", accounting: Accounting | None = None, trust_in: TrustIn | None = None,
                   peers: set[str] | None = None) -> Reply:
    """The whole answer, within `limit` seconds; `zone` is the interface of a link-local address.

    With `accounting` it is written down; `trust_in` says how a device with TLS is judged, where it is not by the
    system's authorities. `peers` gets the IP address that has answered. Raises `DeviceError`.
    """
    try:
        address = address_of(url)
    except ValueError as error:
        raise BadDevice(url, str(error)) from None
    client = DeviceClient(reactor, seconds=reactor.seconds, max_connections=1, timeout=limit, idle_timeout=limit,
                          lenient=True)
    if trust_in is not None and address.secure:
        client.trust = await trust_in(address, zone)
    client.zone = zone
    call = ScannerRequest(address, operation, body, [(b"Content-Type", CONTENT_TYPE), (b"User-Agent", b"wsdgateway")])
    call.tape, started = (None, 0.0) if accounting is None else (accounting.tape(), accounting.now())
    reply: Reply | None = None
    try:
        reply = await read_reply(await client.request(call))
        if peers is not None:
            peers |= client.peers
        return reply
    finally:
        if accounting is not None:
            status, answer = (None, b"") if reply is None else (reply.status, reply.body)
            accounting.own(operation.name, started, body, status, answer, call.tape)
        await client.stop()
