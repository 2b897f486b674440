"""Adopts scanners that are found and have no section in the configuration, unless a rule excludes them.

`[discovery] adopt` and `exclude`. The metadata of each device that may be a scanner is read, for a few devices at a
time. `bridge.discovery.candidates` decides which devices to query, and which to adopt.
"""

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from wsdgateway.bridge.discovery.adoption import Adopted, Exclusion
from wsdgateway.bridge.discovery.candidates import (
    MAX_ADOPTED,
    Candidates,
    Excluded,
    NotAdopted,
    ScanDevice,
    Step,
    is_same_device,
)
from wsdgateway.bridge.discovery.location import MOST_ADDRESSES
from wsdgateway.bridge.discovery.sightings import News, Sighting
from wsdgateway.discovery.identity import identity_of
from wsdgateway.metadata.messages import read_labels, write_get
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
from wsdgateway.soap.parsing import Malformed

MAX_WAITING = 100  # devices that wait in each queue
REQUEST_SECONDS = 10.0
DEVICE_SECONDS = 20.0  # for all addresses of a device
MAX_CONCURRENT = 4


async def read_device(reactor: Any, sighting: Sighting, new_id: Callable[[], str],
                      accounting: Accounting | None = None, trust_in: TrustIn | None = None,
                      stand_ins: bool = False) -> ScanDevice | None:
    """Read the metadata of a device at the first of its addresses that answers. Returns None if it is not a scanner.

    A stand-in of a gateway counts as a scanner only with `stand_ins`. Raises `DeviceError` or `Malformed` if no address
    answers with metadata.
    """
    problem: DeviceError | Malformed = Malformed("it has no usable address")
    end = reactor.seconds() + DEVICE_SECONDS
    for url in usable(sighting)[:MOST_ADDRESSES]:
        try:
            reply = await ask_once(reactor, url, GET_METADATA, write_get(to=sighting.endpoint, message_id=new_id()),
                                   REQUEST_SECONDS, sighting.via, accounting, trust_in)
            if len(reply.body) > MAX_METADATA:
                raise Malformed(f"{url}: its metadata is larger than {MAX_METADATA} bytes")
            envelope = reply.read()
            metadata = find_metadata(envelope.body)
            told = None if metadata is None else host_endpoint(metadata)
            represents = metadata is not None and is_stand_in(metadata)
            if represents and not stand_ins:
                return None
            if metadata is None or (told is not None and not is_same_device(told, sighting, url)):
                raise Malformed(f"{url}: another device answered, or the answer contains no metadata")
            scan = scan_address(envelope, url)
            return None if scan is None else ScanDevice(read_labels(metadata), url, scan, represents)
        except (DeviceError, Malformed) as error:
            problem = error
        if reactor.seconds() >= end:
            break
    raise problem


class Adoption:
    """Reads the metadata of devices that were found, and adopts those that are scanners.

    `names` gives the names in use, `bridged` host and port of scan services that are configured by address. `adopt`
    bridges a scanner; `dismiss` stops bridging one, given its uuid and the reason for clients.
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
        candidates = self._candidates = Candidates()
        self.restore = candidates.restore
        self.stored = candidates.stored
        self.not_stored = candidates.not_stored
        self.has_adopted = candidates.has_adopted
        self.forget = candidates.forget
        self._queues = [SerialQueue(reactor) for _ in range(MAX_CONCURRENT)]
        self._running = Tasks("Reading the metadata of a discovered device failed")
        self._throttle = LogThrottle()
        self._stopped = False

    @property
    def is_idle(self) -> bool:
        """True if no device is being queried or waits to be."""
        return self._running.is_idle

    def consider(self, news: News) -> None:
        """Query a device that has no section in the configuration, unless it cannot have changed."""
        step = self._candidates.step(news, self._reactor.seconds())
        if self._stopped or step is Step.NOTHING:
            return
        if step is Step.EXPLAIN:
            self._explain(news.sighting)
            return
        sighting = news.sighting
        queue = min(self._queues, key=lambda queue: queue.waiting)
        if queue.waiting < MAX_WAITING:
            self._candidates.taken(sighting)
            self._running.run(queue.run(lambda: self._read(identity_of(sighting.endpoint), sighting)))

    def _explain(self, sighting: Sighting) -> None:
        """Log how to configure a device that is not adopted; once a minute, since announcements may be forged."""
        if self._throttle.allows("", self._reactor.seconds()):
            self._candidates.taken(sighting)
            self.log.info('{endpoint}: not adopted, because its address is not a uuid; if it is a scanner, add a '
                          '[[scanner]] section with device = "{endpoint}" and a pin or ca (see wsdgateway discover '
                          '--pin)', endpoint=sighting.endpoint)

    async def _read(self, key: str, sighting: Sighting) -> None:
        if self._stopped:
            return
        try:
            found = await read_device(self._reactor, sighting, self._new_id, self._accounting)
        except (DeviceError, Malformed) as problem:
            if self._candidates.failed(key, str(problem), self._reactor.seconds()):
                self.log.info("{endpoint}: reading its metadata failed: {problem}",
                              endpoint=sighting.endpoint, problem=str(problem))
            return
        self._candidates.answered(key)
        if not self._stopped and found is not None:
            self._judge(key, sighting, found)

    def _judge(self, key: str, sighting: Sighting, found: ScanDevice) -> None:
        """Adopt a scanner, or give up one that a rule now excludes."""
        verdict = self._candidates.judge(
            key, found, sighting, rules=self.rules, bridged=self._bridged, names=self._names)
        if isinstance(verdict, Adopted):
            self._adopt(verdict)
        elif isinstance(verdict, Excluded):
            self.log.info("{endpoint}: {name} is not adopted, because the configuration excludes {rule}",
                          endpoint=sighting.endpoint, name=found.labels.friendly_name, rule=verdict.rule.text)
            if verdict.was_adopted:
                self._dismiss(key, "The gateway no longer bridges this scanner.")
        elif verdict is NotAdopted.TOO_MANY:
            self.log.warn("{endpoint}: not adopted, because the limit of {count} adopted scanners is reached; "
                          "exclude some", endpoint=key,
                          count=MAX_ADOPTED)

    def stop(self) -> None:
        """Stop querying devices."""
        self._stopped = True
        self._running.cancel()
