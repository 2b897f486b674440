"""Finds the stand-ins of scanners that other gateways own, for a client that asks this gateway for all scanners.

The Probe or Resolve is passed to each of the owners, which answers for its own scanners, with the address at which the
client reached this gateway. An owner that does not answer in time is left out.
"""

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.logger import Logger

from wsdgateway.bridge.cluster.peerfields import (
    CLIENT,
    PASSED,
    SECRET,
    AnswerFields,
    BadFields,
    Passed,
    read_answer,
    write_passed,
)
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.discovery.messages import MAX_ENVELOPE, Message, TargetService, read_message
from wsdgateway.http.messages import request_head
from wsdgateway.http.urls import address_of
from wsdgateway.net.cluster.owners import Owners
from wsdgateway.net.cluster.peerlink import PeerLink
from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.soap.parsing import Malformed

ALL = ""  # the name in a passed request that is for all scanners of its owner
ANSWER_SECONDS = 3.0  # for an owner; Windows waits four for matches
MAX_OWNERS = 8  # that are asked for one request
MATCHES = frozenset(("ProbeMatches", "ResolveMatches"))


class Elsewhere:
    """The stand-ins of the scanners that other gateways own. `scanners` returns the names of all that are shared.

    `identifier` and `name` are those of this gateway's registration; `seconds` is a monotonic clock.
    """

    log = Logger()

    def __init__(self, link: PeerLink, owners: Owners, *, identifier: str, name: str,
                 scanners: Callable[[], Iterable[str]], seconds: Callable[[], float]) -> None:
        self._link = link
        self._owners = owners
        self._identifier = identifier
        self._name = name
        self._scanners = scanners
        self._seconds = seconds
        self._throttle = LogThrottle()

    async def matches(self, exchange: Exchange) -> tuple[list[TargetService], int]:
        """The services that match the request, and the highest InstanceId of the answers that have one."""
        known = set(self._scanners())
        owners = {owner.identifier: owner for owner in map(self._owners.find, sorted(known))
                  if owner is not None and owner.identifier != self._identifier and owner.address}
        answers = await gatherResults([Deferred.fromCoroutine(self._ask(owner, exchange))
                                       for owner in list(owners.values())[:MAX_OWNERS]])
        found: dict[str, TargetService] = {}
        highest = 0
        for message in answers:
            content = () if message is None or not isinstance(message.content, tuple) else message.content
            listed = [one for one in content if _name_of(one) in known]
            found.update((one.endpoint, one) for one in listed)
            if listed and message is not None and message.sequence is not None:
                highest = max(highest, message.sequence.instance_id)
        return list(found.values()), highest

    async def _ask(self, owner: Registration, exchange: Exchange) -> Message | None:
        """Pass the request to an owner; None without a usable answer."""
        try:
            call = self._link.call(owner, self._head(owner, exchange), exchange.request.body, lambda: None)
            reading = Deferred.fromCoroutine(_read(call.answered))
            reading.addTimeout(ANSWER_SECONDS, self._link.reactor)
            try:
                return await reading
            except TimedOut:
                self._link.abandon(call)
                raise BadFields(f"no answer within {ANSWER_SECONDS:g} s") from None
        except (DeviceError, BadFields, Malformed) as error:
            what = error.what if isinstance(error, DeviceError) else str(error)
            if self._throttle.allows((owner.name, what), self._seconds()):
                self.log.warn("A client that asks for all scanners gets none of those that the gateway {owner} at "
                              "{address} owns: {what} (logged at most once a minute)", owner=owner.name,
                              address=owner.address, what=what)
            return None

    def _head(self, owner: Registration, exchange: Exchange) -> bytes:
        request = exchange.request
        passed = Passed(self._name, ALL, "", "", request.method.decode("latin-1"), request.host.decode("latin-1"),
                        exchange.base(), exchange.port, exchange.secure)
        content_type = [field for field in request.headers if field[0].lower() == b"content-type"]
        return request_head(request.path, [
            (b"Host", address_of(owner.address).authority), (CLIENT, exchange.peer.encode("latin-1")),
            (SECRET, self._link.secret()), (PASSED, write_passed(passed)), *content_type[:1],
            (b"Content-Length", b"%d" % len(request.body))])


async def _read(answered: Deferred[Response]) -> Message | None:
    """The matches in an answer. Raises `DeviceError`, `BadFields` or `Malformed`."""
    response = await answered
    body = await response.collect()
    fields: AnswerFields = read_answer(response.head.headers)
    if response.head.status != 200 or fields.body is None or fields.body > MAX_ENVELOPE:
        raise BadFields(f"it answered with status {response.head.status}")
    return read_message(body[:fields.body], MATCHES)


def _name_of(service: TargetService) -> str:
    """The name of the scanner in the first address of its stand-in."""
    try:
        return urlsplit(service.xaddrs[0]).path.removeprefix("/") if service.xaddrs else ""
    except ValueError:
        return ""
