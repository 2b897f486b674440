"""Takes the scanners that are found and in no section of the configuration, unless a rule leaves them alone.

`[discovery] adopt` and `exclude`. Whoever may be a scanner is asked for its metadata, one device after the other, once
until it says that something has changed.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import attrs
from twisted.logger import Logger

from wsdgateway.bridge.discovery.adoption import Adopted, Exclusion, excluding, has_no_uuid, may_be_scanner, name_for
from wsdgateway.bridge.discovery.sightings import News, Sighting
from wsdgateway.discovery.identity import identity_of, is_same
from wsdgateway.http.urls import address_of, is_http
from wsdgateway.metadata.messages import Labels, read_labels, write_get
from wsdgateway.metadata.standin import find_metadata, host_endpoint, is_stand_in
from wsdgateway.net.presence.locator import MOST_ADDRESSES
from wsdgateway.net.presence.metadata import MAX_METADATA, scan_address
from wsdgateway.net.scanners.address import usable
from wsdgateway.net.scanners.oneshot import TrustIn, ask_once
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.net.transport.serial import SerialQueue
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.scan.operations import GET_METADATA
from wsdgateway.soap.envelope import read
from wsdgateway.soap.parsing import Malformed

MAX_LOOKED_AT = 1000
MAX_WAITING = 100
MAX_ADOPTED = 1000
LOOK_SECONDS = 10.0
LATER_SECONDS = 50.0
LOOKING_SECONDS = 20.0  # at all the addresses of a device
LANES = 4


@attrs.frozen
class Found:
    """A device with a scan service: what it calls itself, where it answered, and where the service is."""

    labels: Labels
    device: str
    scan: str


async def look_at(reactor: Any, sighting: Sighting, new_id: Callable[[], str],
                  accounting: Accounting | None = None, trust_in: TrustIn | None = None) -> Found | None:
    """What a device says of itself at the first of its addresses that answers; None if it is no scanner.

    Raises `DeviceError` or `Malformed` if none of them answers with its metadata.
    """
    problem: DeviceError | Malformed = Malformed("it has no address that can be used")
    end = reactor.seconds() + LOOKING_SECONDS
    for url in usable(sighting)[:MOST_ADDRESSES]:
        try:
            reply = await ask_once(reactor, url, GET_METADATA, write_get(to=sighting.endpoint, message_id=new_id()),
                                   LOOK_SECONDS, sighting.via, accounting, trust_in)
            if len(reply.body) > MAX_METADATA:
                raise Malformed(f"{url}: its metadata is larger than {MAX_METADATA} bytes")
            envelope = read(reply.body, reply.charset)
            metadata = find_metadata(envelope.body)
            told = None if metadata is None else host_endpoint(metadata)
            if metadata is not None and is_stand_in(metadata):
                return None
            if metadata is None or (told is not None and not _is_it(told, sighting, url)):
                raise Malformed(f"{url}: that is another device, or no metadata")
            scan = scan_address(envelope, url)
            return None if scan is None else Found(read_labels(metadata), url, scan)
        except (DeviceError, Malformed) as error:
            problem = error
        if reactor.seconds() >= end:
            break
    raise problem


def _is_it(told: str, sighting: Sighting, url: str) -> bool:
    """Whether what calls itself `told` at that URL is the device that was seen.

    An endpoint that is an https address is its own proof: whoever answers there with a certificate that is believed is
    it, though some devices call themselves by a uuid in their metadata even then.
    """
    return is_same(told, sighting.endpoint) or (
        url.startswith("https:") and sighting.endpoint.lower() == url.lower())


def places(found: Found, sighting: Sighting) -> set[tuple[str, int]]:
    """Host and port of the scan service, by every host that the device is known by."""
    hosts = {urlsplit(url).hostname or "" for url in filter(is_http, (*sighting.xaddrs, found.scan))}
    return {(host, address_of(found.scan).port) for host in hosts}


class Adoption:
    """Decides about what was seen. `names` gives those that are taken, `bridged` where scan services are bridged.

    `adopt` bridges a scanner from now on, `dismiss` one by its uuid no more, and says why.
    """

    log = Logger()

    def __init__(self, reactor: Any, accounting: Accounting, *, rules: tuple[Exclusion, ...], new_id: Callable[[], str],
                 names: Callable[[], set[str]], bridged: Callable[[], set[tuple[str, int]]],
                 adopt: Callable[[Adopted], None], dismiss: Callable[[str, str], None]) -> None:
        self._reactor = reactor
        self._accounting = accounting
        self.rules = rules
        self._new_id = new_id
        self._names = names
        self._bridged = bridged
        self._adopt = adopt
        self._dismiss = dismiss
        self._adopted: set[str] = set()
        self._looked_at: OrderedDict[str, Sighting] = OrderedDict()
        self._failed: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._promised: set[str] = set()
        self._lanes = [SerialQueue(reactor) for _ in range(LANES)]
        self._running = Tasks("while looking at a device that was found")
        self._throttle = LogThrottle()
        self._stopped = False

    def restore(self, adopted: Adopted) -> bool:
        """An earlier start has adopted it; whether it may be bridged still, as far as is known."""
        if any(rule.uuid == adopted.uuid for rule in self.rules):
            return False
        self._adopted.add(adopted.uuid)
        return True

    def consider(self, news: News) -> None:
        """A device was seen that is in no section of the configuration."""
        sighting = news.sighting
        key = identity_of(sighting.endpoint)
        if has_no_uuid(key, sighting.types):
            self._pass_over(key, sighting)
        serial = min(self._lanes, key=lambda serial: serial.waiting)
        if self._stopped or not sighting.xaddrs or not may_be_scanner(key, sighting.types):
            return
        if serial.waiting >= MAX_WAITING:
            return
        known = self._looked_at.get(key)
        if known is not None and self._is_known(key, known, news):
            return
        self._remember(key, sighting)
        self._running.run(serial.run(lambda: self._look(key, sighting)))

    def _pass_over(self, key: str, sighting: Sighting) -> None:
        """Say once for each device, and whatever is forged at most once a minute, what to do instead."""
        if key not in self._looked_at and not self._stopped and self._throttle.allows("", self._reactor.seconds()):
            self._remember(key, sighting)
            self.log.info("{endpoint} is not adopted, for it has no uuid but this address; if it is a scanner, give it "
                          "a [[scanner]] section with device = \"{endpoint}\" and who is believed (wsdgateway discover "
                          "--pin)", endpoint=sighting.endpoint)

    def _is_known(self, key: str, known: Sighting, news: News) -> bool:
        """Whether there is no reason to look at it once more. One that gave no metadata is looked at again later."""
        if key in self._failed:
            return self._reactor.seconds() - self._failed[key] < LATER_SECONDS
        return not news.described and (key in self._adopted or known.xaddrs == news.sighting.xaddrs)

    def _remember(self, key: str, sighting: Sighting) -> None:
        self._looked_at[key] = sighting
        self._looked_at.move_to_end(key)
        self._failed.pop(key, None)
        if len(self._looked_at) > MAX_LOOKED_AT:
            forgotten = self._looked_at.popitem(last=False)[0]
            self._failed.pop(forgotten, None)
            self._problems.pop(forgotten, None)

    async def _look(self, key: str, sighting: Sighting) -> None:
        if self._stopped:
            return
        try:
            found = await look_at(self._reactor, sighting, self._new_id, self._accounting)
        except (DeviceError, Malformed) as problem:
            if self._problems.get(key) != str(problem):  # it is looked at again and again
                self.log.info("{endpoint}: no metadata: {problem}", endpoint=sighting.endpoint, problem=str(problem))
            self._problems[key] = str(problem)
            self._failed[key] = self._reactor.seconds()
            return
        self._problems.pop(key, None)
        if self._stopped or found is None:
            return
        rule = excluding(self.rules, sighting, hosts=[urlsplit(url).hostname or "" for url in
                                                       (*sighting.xaddrs, found.scan)], models=found.labels.models)
        if rule is not None:
            self.log.info("{endpoint}: {name} is not adopted, for the configuration leaves out {rule}",
                          endpoint=sighting.endpoint, name=found.labels.friendly_name, rule=rule.text)
            if key in self._adopted:
                self._adopted.discard(key)
                self._dismiss(key, "This scanner is not bridged any more.")
        elif key not in self._adopted and not self._bridged() & places(found, sighting):
            self._take(key, found)

    def _take(self, key: str, found: Found) -> None:
        if len(self._adopted) >= MAX_ADOPTED:
            self.log.warn("{endpoint} is not adopted: {count} scanners are already; exclude some", endpoint=key,
                          count=MAX_ADOPTED)
            return
        self._adopted.add(key)
        name = name_for(found.labels.name, key, self._names() | self._promised)
        self._promised.add(name)
        self._adopt(Adopted(key, name))

    def settled(self, adopted: Adopted, *, kept: bool) -> None:
        """Its name is kept in the store from now on, or could not be."""
        self._promised.discard(adopted.name)
        if not kept:
            self.abandoned(adopted.uuid)

    def holds(self, uuid: str) -> bool:
        """Whether it is to be bridged still."""
        return uuid in self._adopted

    def abandoned(self, uuid: str) -> None:
        """It is bridged no more; if it is seen again, that is decided anew."""
        self._adopted.discard(uuid)
        self._looked_at.pop(uuid, None)
        self._problems.pop(uuid, None)

    def stop(self) -> None:
        """Decide about nothing more."""
        self._stopped = True
        self._running.cancel()
