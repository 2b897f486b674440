"""Remembers the devices on the scanners' side by their discovery messages, and finds what is new in each message.

WS-Discovery 2005/04, section 4 and Appendix I (AppSequence): a message that is older than an earlier received one is
ignored. A device's InstanceId grows at each start; some devices start again from a lower one, so a message that arrives
long after the last one counts as new, whatever its number.
"""

from collections import OrderedDict

import attrs

from wsdgateway.discovery.identity import identity_of
from wsdgateway.discovery.matching import QName
from wsdgateway.discovery.messages import Message, Sequence, TargetService

MAX_SIGHTINGS = 1000
LATE_SECONDS = 10.0  # longer than any datagram is in transit
# Minimum between two starts or Byes that count; more frequent ones are forged, or from a faulty device.
CHANGE_SECONDS = 10.0
RETURN_SECONDS = 1.0  # a Hello arrives on each link, and a flood of them must not keep the gateway asking


@attrs.frozen
class Sighting:
    """A device as it described itself, the interface on which it was heard, and its sequence.

    Times are in seconds: `at` is the time of the last message; `changed_at`, `left_at` and `returned_at` are the times
    at which the device last counted as restarted or described anew, as gone, and as returned.
    """

    endpoint: str
    types: tuple[QName, ...]
    scopes: tuple[str, ...]
    xaddrs: tuple[str, ...]
    metadata_version: int
    sequence: Sequence | None
    via: str
    at: float
    changed_at: float = float("-inf")
    left_at: float = float("-inf")
    returned_at: float = float("-inf")


@attrs.frozen
class News:
    """The changes found in a message.

    `started`: the device has restarted. `described`: its metadata is, or may be, new. `resolved`: it gave its
    addresses; without them it has to be asked. `returned`: a known device sent Hello, as it does when it joins the
    network, so it may have been away; some devices start with the same InstanceId each time.
    """

    sighting: Sighting
    started: bool = False
    described: bool = False
    resolved: bool = False
    returned: bool = False


@attrs.frozen
class Left:
    """A device sent Bye."""

    endpoint: str


class Sightings:
    """The devices by their identity, at most `MAX_SIGHTINGS`; those not heard of for longest are forgotten first.

    Each keeps its endpoint address as last spelled by the device.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, Sighting] = OrderedDict()

    def get(self, endpoint: str) -> Sighting | None:
        """Returns the sighting of a device, or None."""
        return self._known.get(identity_of(endpoint))

    def all(self) -> list[Sighting]:
        """Returns the sightings of all devices."""
        return list(self._known.values())

    def hear(self, message: Message, via: str, now: float) -> list[News | Left]:
        """Processes a Hello, Bye, ProbeMatches or ResolveMatches from an interface; returns the news in it."""
        if not isinstance(message.content, tuple):
            return []
        heard: list[News | Left] = []
        for service in message.content:
            known = self.get(service.endpoint)
            if known is not None and _is_stale(message.sequence, known, now):
                continue
            if message.name == "Bye":
                if known is not None and now - known.left_at < CHANGE_SECONDS:
                    continue
                if known is not None:
                    self._known[identity_of(service.endpoint)] = attrs.evolve(known, left_at=now)
                heard.append(Left(service.endpoint))
                continue
            heard.append(self._see(service, message, known, via, now))
        return heard

    def _see(self, service: TargetService, message: Message, known: Sighting | None, via: str, now: float) -> News:
        sequence = message.sequence
        current = sequence or (known.sequence if known else None)
        started = known is not None and None not in (known.sequence, sequence) and (
            _instance(known.sequence) != _instance(sequence))
        described = started or (known is not None and known.metadata_version != service.metadata_version)
        version, changed_at = service.metadata_version, known.changed_at if known else float("-inf")
        if known is not None and described and now - changed_at < CHANGE_SECONDS:
            current, version, started, described = known.sequence, known.metadata_version, False, False
        elif described:
            changed_at = now
        returned_at = known.returned_at if known else float("-inf")
        returned = message.name == "Hello" and known is not None and now - returned_at >= RETURN_SECONDS
        sighting = Sighting(
            service.endpoint, service.types or (known.types if known else ()),
            service.scopes or (known.scopes if known else ()), service.xaddrs or (known.xaddrs if known else ()),
            version, current, via, now, changed_at, known.left_at if known else float("-inf"),
            now if returned else returned_at)
        identity = identity_of(service.endpoint)
        self._known[identity] = sighting
        self._known.move_to_end(identity)
        if len(self._known) > MAX_SIGHTINGS:
            self._known.popitem(last=False)
        return News(sighting, started=started, described=described, resolved=bool(service.xaddrs),
                    returned=returned)


def _instance(sequence: Sequence | None) -> int | None:
    return None if sequence is None else sequence.instance_id


def _is_stale(sequence: Sequence | None, known: Sighting, now: float) -> bool:
    if sequence is None or known.sequence is None or now - known.at > LATE_SECONDS:
        return False
    if sequence.instance_id != known.sequence.instance_id:
        return sequence.instance_id < known.sequence.instance_id
    return (sequence.sequence_id == known.sequence.sequence_id
            and sequence.message_number < known.sequence.message_number)
