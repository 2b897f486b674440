"""Answers Probe and Resolve over HTTP: directed discovery, and requests to a discovery proxy.

DPWS 2006/02, section 4; WS-Discovery 1.1, section 5 (managed mode), each version in its own namespaces.
"""

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, gatherResults

from wsdgateway.bridge.decisions import Answer, Refuse
from wsdgateway.bridge.discovery.presence import asked_for
from wsdgateway.discovery.matching import UnknownRule, check_rule
from wsdgateway.discovery.messages import Probe, Sequence, message_in
from wsdgateway.discovery.writing import in_envelopes, write_matches
from wsdgateway.metrics import LOCAL, REFUSED
from wsdgateway.net.presence.standin import StandIn
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.faults import Fault, invalid_args, message_id_missing
from wsdgateway.soap.parsing import Malformed

MATCHING_RULE_NOT_SUPPORTED = Fault(
    "Sender", "wsd:MatchingRuleNotSupported",
    "The MatchBy rule of the Scopes is not supported; use rfc2396, uuid, ldap or strcmp0.", 400)


class DirectedDiscovery:
    """Answers directed Probes and Resolves for given stand-ins."""

    def __init__(self, sequence: Callable[[], Sequence], new_id: Callable[[], str]) -> None:
        self._sequence = sequence
        self._new_id = new_id

    async def answer(self, stand_ins: Iterable[StandIn], envelope: Envelope, base: str) -> tuple[Answer | Refuse, str]:
        """The answer for a client that reached this gateway at the base URL `base`, and its source for the metrics."""
        try:
            message = message_in(envelope)
        except Malformed as problem:
            return Refuse(invalid_args(f"The Probe or Resolve in the Body cannot be read: {problem}.")), REFUSED
        if message.message_id is None:
            return Refuse(message_id_missing()), REFUSED
        probe = message.content if isinstance(message.content, Probe) else None
        try:
            check_rule(None if probe is None else probe.match_by)
        except UnknownRule:
            return Refuse(MATCHING_RULE_NOT_SUPPORTED), REFUSED
        asked = list(stand_ins)
        found = await gatherResults([Deferred.fromCoroutine(one.match()) for one in asked])
        places = {one.path(): service for one, service in zip(asked, found, strict=True) if service is not None}
        matches = asked_for(message, places, base)
        first = next(in_envelopes(matches, envelope.message_id), [])
        return Answer(write_matches(
            f"{message.name}Matches", first, version=message.version, sequence=self._sequence(),
            relates_to=envelope.message_id, message_id=self._new_id())), LOCAL
