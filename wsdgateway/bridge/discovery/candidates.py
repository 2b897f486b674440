"""Decides about devices that discovery has found: which are asked for their metadata, adopted, and forgotten.

The configuration's `[discovery] adopt` and `exclude`; the rules for one device are in `bridge.discovery.adoption`.
Times are in seconds on one monotonic clock. The states of a candidate, identified by its uuid::

    unknown ──seen──► asked ──no metadata───────────────────────► failed ──seen, RETRY_SECONDS later──► asked
                        ├─────no scanner, excluded, or bridged──► known ──other addresses, or described──► asked
                        └─────any other scanner─────────────────► adopted ──described──► asked, and adopted: it may
                                                                                         be excluded by now

From each of these states a candidate becomes unknown again if its name cannot be stored, if it is given up, or if more
than MAX_DEVICES are remembered and it was asked longest ago.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from enum import Enum
from urllib.parse import urlsplit

import attrs

from wsdgateway.bridge.discovery.adoption import Adopted, Exclusion, excluding, has_no_uuid, may_be_scanner, name_for
from wsdgateway.bridge.discovery.sightings import News, Sighting
from wsdgateway.discovery.identity import identity_of, is_same
from wsdgateway.http.urls import address_of, is_http
from wsdgateway.metadata.messages import Labels

MAX_DEVICES = 1000  # number of devices that are remembered
MAX_ADOPTED = 1000
RETRY_SECONDS = 50.0  # until a device without metadata may be asked again


@attrs.frozen
class ScanDevice:
    """A device with a scan service: its labels, the address at which it answered, and that of the service.

    `is_stand_in`: its metadata is that of a gateway's stand-in.
    """

    labels: Labels
    device: str
    scan: str
    is_stand_in: bool = False


def places(found: ScanDevice, sighting: Sighting) -> set[tuple[str, int]]:
    """Returns host and port of the scan service, for every host by which the device is known."""
    hosts = {urlsplit(url).hostname or "" for url in filter(is_http, (*sighting.xaddrs, found.scan))}
    return {(host, address_of(found.scan).port) for host in hosts}


def is_same_device(told: str, sighting: Sighting, url: str) -> bool:
    """True if the device that gives its endpoint as `told` at that URL is the device that was seen.

    An https address as endpoint is proof in itself: a device that answers there with a trusted certificate is the right
    one, even though some devices give a uuid in their metadata.
    """
    return is_same(told, sighting.endpoint) or (
        url.startswith("https:") and sighting.endpoint.lower() == url.lower())


class Step(Enum):
    """The reaction to news of a device."""

    NOTHING = "no candidate, or nothing can have changed"
    ASK = "request its metadata"
    EXPLAIN = "log once that it is not adopted because it has no uuid"


class NotAdopted(Enum):
    """Reasons why a scanner is not adopted although no rule excludes it."""

    TOO_MANY = "the limit of adopted scanners is reached"
    BRIDGED = "already adopted, or bridged by its address"


@attrs.frozen
class Excluded:
    """A scanner that a rule excludes. `was_adopted`: it was adopted until now, and has to be given up."""

    rule: Exclusion
    was_adopted: bool


class Candidates:
    """The devices that were found, and the adopted scanners, identified by uuid as spelled by `identity_of`."""

    def __init__(self) -> None:
        self._devices: OrderedDict[str, Sighting] = OrderedDict()
        self._failed: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._adopted: set[str] = set()
        self._reserved_names: set[str] = set()

    # Devices that were found.

    def step(self, news: News, now: float) -> Step:
        """Decides what to do about news of a device that is in no section of the configuration; changes no state."""
        sighting = news.sighting
        key = identity_of(sighting.endpoint)
        if has_no_uuid(key, sighting.types):
            return Step.NOTHING if key in self._devices else Step.EXPLAIN
        if not sighting.xaddrs or not may_be_scanner(key, sighting.types):
            return Step.NOTHING
        known = self._devices.get(key)
        return Step.NOTHING if known is not None and self._is_known(key, known, news, now) else Step.ASK

    def _is_known(self, key: str, known: Sighting, news: News, now: float) -> bool:
        """True if there is no reason to ask the device again. A device without metadata is asked again later."""
        if key in self._failed:
            return now - self._failed[key] < RETRY_SECONDS
        return not news.described and (key in self._adopted or known.xaddrs == news.sighting.xaddrs)

    def taken(self, sighting: Sighting) -> None:
        """Remembers a device for which the step is carried out; forgets the oldest if there are too many."""
        key = identity_of(sighting.endpoint)
        self._devices[key] = sighting
        self._devices.move_to_end(key)
        self._failed.pop(key, None)
        if len(self._devices) > MAX_DEVICES:
            forgotten = self._devices.popitem(last=False)[0]
            self._failed.pop(forgotten, None)
            self._problems.pop(forgotten, None)

    def failed(self, key: str, problem: str, now: float) -> bool:
        """Records that a device gave no metadata; returns True if the problem differs from the last one.

        The device is asked repeatedly.
        """
        is_new = self._problems.get(key) != problem
        self._problems[key] = problem
        self._failed[key] = now
        return is_new

    def answered(self, key: str) -> None:
        """Notes that a device gave its metadata, or is no scanner."""
        self._problems.pop(key, None)

    def judge(self, key: str, found: ScanDevice, sighting: Sighting, *, rules: Iterable[Exclusion],
              bridged: Callable[[], set[tuple[str, int]]],
              names: Callable[[], set[str]]) -> Adopted | Excluded | NotAdopted:
        """Decides about a scanner whose metadata was read, and updates whether it counts as adopted.

        `bridged` returns host and port of scan services that are bridged by their address, `names` the names that are
        taken. The name of an adopted scanner is reserved until it is `stored`.
        """
        hosts = [urlsplit(url).hostname or "" for url in (*sighting.xaddrs, found.scan)]
        rule = excluding(rules, sighting, hosts=hosts, models=found.labels.models)
        if rule is not None:
            was_adopted = key in self._adopted
            self._adopted.discard(key)
            return Excluded(rule, was_adopted)
        if key in self._adopted or bridged() & places(found, sighting):
            return NotAdopted.BRIDGED
        if len(self._adopted) >= MAX_ADOPTED:
            return NotAdopted.TOO_MANY
        self._adopted.add(key)
        name = name_for(found.labels.name, key, names() | self._reserved_names)
        self._reserved_names.add(name)
        return Adopted(key, name)

    # Adopted scanners.

    def restore(self, uuid: str) -> None:
        """Marks a scanner as adopted by an earlier start."""
        self._adopted.add(uuid)

    def stored(self, adopted: Adopted) -> None:
        """Notes that the scanner's name has been stored."""
        self._reserved_names.discard(adopted.name)

    def not_stored(self, adopted: Adopted) -> None:
        """Marks a scanner as not adopted, because its name could not be stored."""
        self._reserved_names.discard(adopted.name)
        self.forget(adopted.uuid)

    def has_adopted(self, uuid: str) -> bool:
        """True if the scanner is adopted, or about to be."""
        return uuid in self._adopted

    def forget(self, uuid: str) -> None:
        """Marks a scanner as not adopted. If it is found again, the decision is made again."""
        self._adopted.discard(uuid)
        self._devices.pop(uuid, None)
        self._problems.pop(uuid, None)
