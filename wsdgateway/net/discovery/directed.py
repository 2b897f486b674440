"""Answers Probe and Resolve over HTTP: directed discovery, and requests to a discovery proxy.

DPWS 2006/02, section 4; WS-Discovery 1.1, section 5 (managed mode), each version in its own namespaces.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from wsdgateway.bridge.decisions import Answer, Refuse
from wsdgateway.bridge.discovery.appsequences import AppSequences
from wsdgateway.bridge.discovery.presence import asked_for
from wsdgateway.discovery.matching import UnknownRule, check_rule
from wsdgateway.discovery.messages import Probe, TargetService, message_in
from wsdgateway.discovery.writing import in_envelopes, write_matches
from wsdgateway.metrics import LOCAL, REFUSED
from wsdgateway.net.presence.standin import StandIn
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.faults import Fault, invalid_args, message_id_missing
from wsdgateway.soap.parsing import Malformed

MATCHING_RULE_NOT_SUPPORTED = Fault(
    "Sender", "wsd:MatchingRuleNotSupported",
    "The MatchBy rule of the Scopes is not supported; use rfc2396, uuid, ldap or strcmp0.", 400)


Found = Coroutine[Any, Any, tuple[list[TargetService], int]]


async def nowhere() -> tuple[list[TargetService], int]:
    """No matches of other gateways."""
    return [], 0


class DirectedDiscovery:
    """Answers directed Probes and Resolves for given stand-ins.

    `others` gives further bases for the scanner at a name, at other gateways on the network of a base.
    """

    def __init__(self, sequences: AppSequences, new_id: Callable[[], str],
                 others: Callable[[str, str], Iterable[str]] = lambda name, base: ()) -> None:
        self._sequences = sequences
        self._new_id = new_id
        self._others = others

    async def answer(self, stand_ins: Iterable[StandIn], envelope: Envelope, base: str,
                     elsewhere: Callable[[], Found] = nowhere) -> tuple[Answer | Refuse, str]:
        """The answer for a client that reached this gateway at the base URL `base`, and its source for the metrics.

        `elsewhere` is awaited for the matches of other gateways, and the highest InstanceId of their answers.
        """
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
        asking: Deferred[tuple[list[TargetService], int]] = Deferred.fromCoroutine(elsewhere())
        found = await gatherResults([Deferred.fromCoroutine(one.match()) for one in asked])
        matches: dict[str, tuple[TargetService, str]] = {}
        for one, service in zip(asked, found, strict=True):
            if service is not None:
                matches.update((match.endpoint, (match, one.scanner)) for match in asked_for(
                    message, {one.path(): service}, base, self._others(one.scanner, base)))
        passed, highest = await asking
        listed = [match for match, _ in matches.values()] + [
            match for match in passed if match.endpoint not in matches]
        first = next(in_envelopes(listed, envelope.message_id), [])
        names = [matches[match.endpoint][1] for match in first if match.endpoint in matches]
        self._sequences.drawn(highest)
        # Without an AppSequence a stand-in is not announced, but a client that asks this gateway gets it nevertheless.
        sequence = self._sequences.next([name for name in names if self._sequences.has(name)],
                                        beside_others=len(names) < len(first))
        assert sequence is not None
        return Answer(write_matches(
            f"{message.name}Matches", first, version=message.version, sequence=sequence,
            relates_to=envelope.message_id, message_id=self._new_id())), LOCAL
