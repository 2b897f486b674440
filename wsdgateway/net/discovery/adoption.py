"""Adopts scanners that are found and in no section of the configuration, unless a rule excludes them.

`[discovery] adopt` and `exclude`. A device that may be a scanner is asked for its metadata, a few devices at once, and
asked again only when it announces a change.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import attrs
from twisted.logger import Logger

from wsdgateway.bridge.discovery.adoption import Adopted, Exclusion, excluding, has_no_uuid, may_be_scanner, name_for
from wsdgateway.bridge.discovery.location import MOST_ADDRESSES
from wsdgateway.bridge.discovery.sightings import News, Sighting
from wsdgateway.discovery.identity import identity_of, is_same
from wsdgateway.http.urls import address_of, is_http
from wsdgateway.metadata.messages import Labels, read_labels, write_get
from wsdgateway.metadata.standin import find_metadata, host_endpoint, is_stand_in
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

MAX_DEVICES = 1000  # that are remembered
MAX_WAITING = 100  # devices that wait in each queue
MAX_ADOPTED = 1000
REQUEST_SECONDS = 10.0
RETRY_SECONDS = 50.0  # until a device that gave no metadata may be asked again
DEVICE_SECONDS = 20.0  # for all the addresses of a device
MAX_CONCURRENT = 4


@attrs.frozen
class ScanDevice:
    """A device with a scan service: its labels, the address at which it answered, and that of the service."""

    labels: Labels
    device: str
    scan: str


async def read_device(reactor: Any, sighting: Sighting, new_id: Callable[[], str],
                  accounting: Accounting | None = None, trust_in: TrustIn | None = None) -> ScanDevice | None:
    """The metadata of a device at the first of its addresses that answers; None if it is no scanner.

    Raises `DeviceError` or `Malformed` if none of them answers with its metadata.
    """
    problem: DeviceError | Malformed = Malformed("it has no address that can be used")
    end = reactor.seconds() + DEVICE_SECONDS
    for url in usable(sighting)[:MOST_ADDRESSES]:
        try:
            reply = await ask_once(reactor, url, GET_METADATA, write_get(to=sighting.endpoint, message_id=new_id()),
                                   REQUEST_SECONDS, sighting.via, accounting, trust_in)
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
            return None if scan is None else ScanDevice(read_labels(metadata), url, scan)
        except (DeviceError, Malformed) as error:
            problem = error
        if reactor.seconds() >= end:
            break
    raise problem


def _is_it(told: str, sighting: Sighting, url: str) -> bool:
    """Whether what calls itself `told` at that URL is the device that was seen.

    An endpoint that is an https address proves itself: the device that answers there with a trusted certificate is the
    right one, even though some devices give a uuid in their metadata.
    """
    return is_same(told, sighting.endpoint) or (
        url.startswith("https:") and sighting.endpoint.lower() == url.lower())


def places(found: ScanDevice, sighting: Sighting) -> set[tuple[str, int]]:
    """Host and port of the scan service, by every host that the device is known by."""
    hosts = {urlsplit(url).hostname or "" for url in filter(is_http, (*sighting.xaddrs, found.scan))}
    return {(host, address_of(found.scan).port) for host in hosts}


class Adoption:
    """Looks at devices that were found, and decides whether to adopt them.

    `names` gives the names that are taken, `bridged` host and port of scan services that are bridged by their address.
    `adopt` bridges a scanner from now on; `dismiss` stops bridging one, by its uuid and with the reason for clients.
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
        self._devices: OrderedDict[str, Sighting] = OrderedDict()
        self._failed: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._reserved_names: set[str] = set()
        self._queues = [SerialQueue(reactor) for _ in range(MAX_CONCURRENT)]
        self._running = Tasks("while looking at a device that was found")
        self._throttle = LogThrottle()
        self._stopped = False

    @property
    def is_idle(self) -> bool:
        """Whether no device is being looked at or waits for that."""
        return self._running.is_idle

    def has_looked_at(self, uuid: str) -> bool:
        """Whether it has begun to look at a device, and remembers that."""
        return identity_of(uuid) in self._devices

    def restore(self, uuid: str) -> None:
        """Take a scanner for adopted: an earlier start has done so."""
        self._adopted.add(uuid)

    def consider(self, news: News) -> None:
        """Look at a device that is in no section of the configuration, unless nothing in it can be new."""
        sighting = news.sighting
        key = identity_of(sighting.endpoint)
        if has_no_uuid(key, sighting.types):
            self._explain(key, sighting)
        queue = min(self._queues, key=lambda queue: queue.waiting)
        if self._stopped or not sighting.xaddrs or not may_be_scanner(key, sighting.types):
            return
        if queue.waiting >= MAX_WAITING:
            return
        known = self._devices.get(key)
        if known is not None and self._is_known(key, known, news):
            return
        self._remember(key, sighting)
        self._running.run(queue.run(lambda: self._read(key, sighting)))

    def _explain(self, key: str, sighting: Sighting) -> None:
        """Log once for each device what to do instead; at most once a minute, for announcements may be forged."""
        if key not in self._devices and not self._stopped and self._throttle.allows("", self._reactor.seconds()):
            self._remember(key, sighting)
            self.log.info("{endpoint} is not adopted, for it has no uuid but this address; if it is a scanner, give it "
                          "a [[scanner]] section with device = \"{endpoint}\" and who is believed (wsdgateway discover "
                          "--pin)", endpoint=sighting.endpoint)

    def _is_known(self, key: str, known: Sighting, news: News) -> bool:
        """Whether there is no reason to look at the device again. One that gave no metadata is asked again later."""
        if key in self._failed:
            return self._reactor.seconds() - self._failed[key] < RETRY_SECONDS
        return not news.described and (key in self._adopted or known.xaddrs == news.sighting.xaddrs)

    def _remember(self, key: str, sighting: Sighting) -> None:
        self._devices[key] = sighting
        self._devices.move_to_end(key)
        self._failed.pop(key, None)
        if len(self._devices) > MAX_DEVICES:
            forgotten = self._devices.popitem(last=False)[0]
            self._failed.pop(forgotten, None)
            self._problems.pop(forgotten, None)

    async def _read(self, key: str, sighting: Sighting) -> None:
        if self._stopped:
            return
        try:
            found = await read_device(self._reactor, sighting, self._new_id, self._accounting)
        except (DeviceError, Malformed) as problem:
            if self._problems.get(key) != str(problem):  # it is asked again and again
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
            self._adopt_found(key, found)

    def _adopt_found(self, key: str, found: ScanDevice) -> None:
        if len(self._adopted) >= MAX_ADOPTED:
            self.log.warn("{endpoint} is not adopted: {count} scanners are already; exclude some", endpoint=key,
                          count=MAX_ADOPTED)
            return
        self._adopted.add(key)
        name = name_for(found.labels.name, key, self._names() | self._reserved_names)
        self._reserved_names.add(name)
        self._adopt(Adopted(key, name))

    def stored(self, adopted: Adopted) -> None:
        """The store has the scanner's name."""
        self._reserved_names.discard(adopted.name)

    def not_stored(self, adopted: Adopted) -> None:
        """The store could not take the scanner's name, so that it is not adopted."""
        self._reserved_names.discard(adopted.name)
        self.forget(adopted.uuid)

    def has_adopted(self, uuid: str) -> bool:
        """Whether the scanner is adopted, or about to be."""
        return uuid in self._adopted

    def forget(self, uuid: str) -> None:
        """Take a scanner for not adopted. If it is found again, it is decided about anew."""
        self._adopted.discard(uuid)
        self._devices.pop(uuid, None)
        self._problems.pop(uuid, None)

    def stop(self) -> None:
        """Look at no more devices."""
        self._stopped = True
        self._running.cancel()
