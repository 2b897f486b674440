"""A scanner's device endpoint as clients see it: metadata by Get, and answers to Probe and Resolve over HTTP.

WS-Transfer 2004/09, section 3.1; DPWS 2006/02, sections 4 and 5. The metadata is the scanner's own, read once and again
after it has been away, with our addresses in it.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import attrs
from lxml import etree
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.python.failure import Failure

from wsdgateway.bridge.decisions import Answer, Refuse
from wsdgateway.bridge.presence import derived_endpoint, is_meant, match
from wsdgateway.bridge.routing import DeviceRequest
from wsdgateway.discovery.matching import UnknownRule
from wsdgateway.discovery.messages import Match, Sequence, read_probe, read_resolve, write_matches
from wsdgateway.discovery.versions import version_of
from wsdgateway.metadata.standin import host_endpoint, make_metadata, stand_in
from wsdgateway.metrics import DEVICE, LOCAL, REFUSED
from wsdgateway.net.failures import DeviceError, fault_for
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.envelope import Envelope, compose
from wsdgateway.soap.faults import Fault, invalid_args
from wsdgateway.soap.namespaces import WXF

PATIENCE = 2.0  # Windows waits four seconds for matches

MATCHING_RULE_NOT_SUPPORTED = Fault(
    "Sender", "wsd:MatchingRuleNotSupported",
    "The scopes' MatchBy names a rule that is not known here; use that of rfc2396, uuid, ldap or strcmp0.", 400)


@attrs.frozen(eq=False)
class Described:
    """What a scanner has told of itself: its metadata, or where it has none, a name and something about it."""

    metadata: etree._Element | None
    name: str = ""
    info: str = ""


class StandIn:
    """One scanner's. `describe` asks it; `own_endpoint` is its endpoint address where the configuration knows it.

    `hosts` are the names and addresses of the scanner's host, which clients must not be sent to; `is_here` tells
    whether it can be reached, as far as is known.
    """

    def __init__(self, reactor: Any, *, scanner: str, describe: Callable[[], Coroutine[Any, Any, Described]],
                 own_endpoint: str | None, has_device: bool, hosts: Callable[[], frozenset[str]],
                 is_here: Callable[[], bool], new_id: Callable[[], str], sequence: Callable[[], Sequence]) -> None:
        self._scanner = scanner
        self._describe = describe
        self._own_endpoint = own_endpoint
        self._has_device = has_device
        self._hosts = hosts
        self._is_here = is_here
        self._new_id = new_id
        self._sequence = sequence
        self._reactor = reactor
        self._known: Described | None = None
        self._asking = False
        self._times_forgotten = 0
        self._waiting: list[Deferred[Described]] = []

    def forget(self) -> None:
        """The scanner may have started again, with other things to tell."""
        self._known = None
        self._times_forgotten += 1

    async def answer(self, request: DeviceRequest, base: str) -> tuple[Answer | Refuse, str]:
        """What a client gets that has reached us under `base`, and where that came from."""
        envelope = request.envelope
        if request.name != "Get":
            return await answer_discovery([self], envelope, base, self._sequence(), self._new_id())
        try:
            metadata = await self._metadata(base)
        except DeviceError as error:
            return Refuse(fault_for(error)), DEVICE if error.sent else REFUSED
        return Answer(compose(action=f"{WXF}/GetResponse", message_id=self._new_id(), to=ANONYMOUS,
                              relates_to=envelope.message_id, body=metadata, namespaces={})), LOCAL

    def _learn(self) -> Deferred[Described]:
        """What the scanner tells; it is asked once, however many wait, and however soon they leave."""
        if self._known is not None:
            return succeed(self._known)
        waiting: Deferred[Described] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        if not self._asking:
            self._asking = True
            asking = Deferred.fromCoroutine(self._describe())
            asking.addBoth(self._told, self._times_forgotten)
        return waiting

    def _told(self, told: Described | Failure, times_forgotten: int) -> None:
        self._asking = False
        if isinstance(told, Described) and times_forgotten == self._times_forgotten:
            self._known = told
            if told.metadata is not None and self._own_endpoint is None:
                self._own_endpoint = host_endpoint(told.metadata)
        waiting, self._waiting[:] = list(self._waiting), []
        for one in waiting:
            one.callback(told)  # a failure, too, goes the way that it should

    async def _metadata(self, base: str) -> str:
        known = await self._learn()
        endpoint, scan = self._endpoint() or derived_endpoint(self._scanner), f"{base}/{self._scanner}/scan"
        if known.metadata is None:
            return make_metadata(endpoint=endpoint, name=known.name or self._scanner, info=known.info, scan=scan)
        return stand_in(known.metadata, endpoint=endpoint, scan=scan, hosts=self._hosts())

    def _endpoint(self) -> str | None:
        """Our endpoint address; None while the scanner's, which it is derived from, has still to be asked for."""
        if self._own_endpoint is not None:
            return derived_endpoint(self._own_endpoint)
        return None if self._has_device else derived_endpoint(self._scanner)

    async def match(self, base: str) -> Match | None:
        """Where it is, for a client that has reached us under `base`; None while the scanner is gone."""
        if not self._is_here():
            return None
        if self._endpoint() is None:
            learning = self._learn()
            learning.addTimeout(PATIENCE, self._reactor)
            try:
                await learning
            except (DeviceError, TimedOut):
                return None
        endpoint = self._endpoint()
        return match(endpoint, f"{base}/{self._scanner}") if endpoint is not None else None


async def answer_discovery(stand_ins: list[StandIn], envelope: Envelope, base: str, sequence: Sequence,
                           message_id: str) -> tuple[Answer | Refuse, str]:
    """Answer a directed Probe or Resolve for all of these."""
    version = version_of(envelope.action or "")
    assert version is not None
    probe, address = read_probe(envelope, version), read_resolve(envelope, version)
    if probe is None and address is None:
        return Refuse(invalid_args("The Body holds no Probe or Resolve that can be read.")), REFUSED
    try:
        meant = probe is None or is_meant(probe)
    except UnknownRule:
        return Refuse(MATCHING_RULE_NOT_SUPPORTED), REFUSED
    found = await gatherResults([Deferred.fromCoroutine(one.match(base)) for one in stand_ins if meant])
    matches = [one for one in found if one is not None and (probe is not None or one.endpoint == address)]
    return Answer(write_matches("Resolve" if probe is None else "Probe", matches, version=version, sequence=sequence,
                                relates_to=envelope.message_id, message_id=message_id)), LOCAL
