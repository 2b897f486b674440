"""A scanner's device endpoint as clients see it: what it is called, and its metadata.

WS-Transfer 2004/09, section 3.1; DPWS 2006/02, sections 4 and 5. The metadata is the scanner's own, read once and again
after it has been away, with our addresses in it.
"""

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

import attrs
from lxml import etree
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.decisions import Answer, Refuse
from wsdgateway.bridge.discovery.presence import derived_endpoint, located, stand_in_service
from wsdgateway.discovery.identity import identity_of, is_same
from wsdgateway.discovery.messages import TargetService
from wsdgateway.metadata.messages import Labels, read_labels
from wsdgateway.metadata.names import name_of
from wsdgateway.metadata.standin import digest, host_endpoint, make_metadata, stand_in
from wsdgateway.metrics import DEVICE, LOCAL, REFUSED
from wsdgateway.net.transport.errors import DeviceError, fault_for
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.envelope import Envelope, compose
from wsdgateway.soap.namespaces import WXF

PATIENCE = 2.0  # Windows waits four seconds for matches
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
LONGEST_AWAY = 3.0  # at a scanner that takes no connections


@attrs.frozen(eq=False)
class Described:
    """What a scanner has told of itself: its metadata, or where it has none, a name and something about it."""

    metadata: etree._Element | None
    name: str = ""
    info: str = ""

    def digest(self) -> str:
        """What two equal descriptions have in common."""
        told = digest(self.metadata) if self.metadata is not None else f"{self.name}\n{self.info}".encode()
        return hashlib.sha256(told).hexdigest()


@attrs.frozen
class Guise:
    """How a stand-in appears: under the scanner's own uuid (`same`) or one derived from it, with a suffix to its name.

    `own_endpoint` is the scanner's endpoint address where it is known beforehand, `has_device` whether the scanner
    can tell it. `announced`: clients learn of the stand-in by themselves, so what it tells is kept at hand. `address`
    stands for where we are: the version of the metadata grows when it changes.
    """

    own_endpoint: str | None = None
    has_device: bool = False
    same: bool = False
    suffix: str = ""
    announced: bool = False
    address: str = ""


class StandIn:
    """One scanner's. `describe` asks it; `version_of` gives the MetadataVersion for an endpoint and a digest.

    `hosts` are the names and addresses of the scanner's host, which clients must not be sent to; `is_here` tells
    whether it can be reached, as far as is known; `on_change` is called when what it tells of itself may have changed.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, guise: Guise,
                 describe: Callable[[], Coroutine[Any, Any, Described]],
                 version_of: Callable[[str, str], Deferred[int]], hosts: Callable[[], frozenset[str]],
                 is_here: Callable[[], bool], new_id: Callable[[], str], on_change: Callable[[], None]) -> None:
        self._scanner = scanner
        self._guise = guise
        self._describe = describe
        self._version_of = version_of
        self._hosts = hosts
        self._is_here = is_here
        self._new_id = new_id
        self._on_change = on_change
        self._reactor = reactor
        self.own_endpoint = guise.own_endpoint
        self._has_called = False
        self._scopes: tuple[str, ...] = ()
        self._version: int | None = None
        self._known: Described | None = None
        self._is_doubted = False
        self._digest = ""
        self._asking = False
        self._asked = 0
        self._times_forgotten = 0
        self._waiting: list[Deferred[Described]] = []
        self._again: IDelayedCall | None = None
        self._pause = FIRST_PAUSE
        self._stopped = False

    # What is known of the scanner.

    def forget(self) -> None:
        """The scanner may have started again, with other things to tell."""
        self._known = None
        self._times_forgotten += 1
        self.look_at_once()

    def doubt(self) -> None:
        """The scanner was out of reach: it is asked before a client is told what it has said of itself."""
        self._is_doubted = True

    def look_at_once(self) -> None:
        """The scanner answers, or may do so: do not wait until the pause after former failures is over."""
        self._pause = FIRST_PAUSE
        if self._again is not None and self._again.active():
            self._again.cancel()
        self.look()

    def look(self) -> None:
        """Where clients learn of it by themselves, find out what there is to tell; again, until the scanner answers."""
        if not self._guise.announced or self._stopped or (self._again is not None and self._again.active()):
            return
        if self._known is None or not self._is_here():
            self._learn(afresh=True).addCallbacks(self._looked, self._not_looked)

    def check(self) -> None:
        """Is the scanner still there, and the same?"""
        if not self._stopped:
            self._learn(afresh=True).addErrback(self._expected)

    def moved(self) -> None:
        """The scanner has another address: it is asked there, and what comes from the former one counts no more."""
        if self._asking and not self._stopped:
            self._begin()
        else:
            self.check()

    def _looked(self, _: Described) -> None:
        self._pause = FIRST_PAUSE

    def _not_looked(self, failure: Failure) -> None:
        self._expected(failure)
        if not self._stopped and (self._again is None or not self._again.active()):
            has_answered = isinstance(failure.value, DeviceError) and failure.value.sent
            longest = LONGEST_PAUSE if has_answered else LONGEST_AWAY
            self._again = self._reactor.callLater(min(self._pause, longest), self.look)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _expected(self, failure: Failure) -> None:
        """Failures of the device are none of ours."""
        if not failure.check(DeviceError, CancelledError):
            self.log.failure("{scanner}: what it tells of itself", failure, scanner=self._scanner)

    def called(self, endpoint: str) -> None:
        """The scanner spells its endpoint address like this where it announces itself, or answers."""
        if self.own_endpoint is not None and is_same(self.own_endpoint, endpoint):
            self._has_called = True
            if self.own_endpoint != endpoint:
                self.own_endpoint = endpoint
                self._on_change()

    def _told_by_itself(self, endpoint: str | None) -> None:
        """The scanner's metadata has this endpoint address; where discovery has told no spelling, that one is used."""
        if endpoint is not None and (self.own_endpoint is None or (
                is_same(self.own_endpoint, endpoint) and not self._has_called)):
            self.own_endpoint = endpoint

    def stop(self) -> None:
        """Ask no more."""
        self._stopped = True
        if self._again is not None and self._again.active():
            self._again.cancel()

    def scoped(self, scopes: tuple[str, ...]) -> None:
        """The scanner's scopes, which are ours, too."""
        if scopes != self._scopes:
            self._scopes = scopes
            self._on_change()

    def _learn(self, *, afresh: bool = False) -> Deferred[Described]:
        """What the scanner tells; it is asked once, however many wait, and however soon they leave."""
        if self._known is not None and not (afresh or self._is_doubted):
            return succeed(self._known)
        waiting: Deferred[Described] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        if not self._asking:
            self._begin()
        return waiting

    def _begin(self) -> None:
        self._asking = True
        self._asked += 1
        asking = Deferred.fromCoroutine(self._ask())
        asking.addBoth(self._told, self._times_forgotten, self._asked)

    async def _ask(self) -> tuple[Described, int]:
        told = await self._describe()
        try:
            if told.metadata is not None:
                self._told_by_itself(host_endpoint(told.metadata))
            endpoint = identity_of(self.endpoint or derived_endpoint(self._scanner))
            return told, await self._version_of(endpoint, " ".join((
                told.digest(), self._guise.suffix, self._guise.address)))
        except Exception:  # a store that can't be written to must not hide the scanner
            self.log.failure("{scanner}: the store does not keep the version of its metadata", scanner=self._scanner)
            version = self._version or 1
            return told, version if told.digest() == self._digest else version + 1

    def _told(self, told: tuple[Described, int] | Failure, times_forgotten: int, number: int) -> None:
        if number != self._asked:
            if isinstance(told, Failure):
                self._expected(told)
            return  # it has been asked at another address since then
        self._asking = False
        is_old = times_forgotten != self._times_forgotten
        if isinstance(told, Failure):
            answer: Described | Failure = told
        else:
            answer, version = told
            if not is_old:
                self._known, self._version, self._digest = answer, version, answer.digest()
                self._is_doubted = False
        waiting, self._waiting[:] = list(self._waiting), []
        for one in waiting:
            one.callback(answer)  # a failure, too, goes the way that it should
        if is_old:
            self.look()
        self._on_change()

    # What is told of it.

    @property
    def labels(self) -> Labels | None:
        """What the scanner calls itself, as far as it is known."""
        known = self._known
        if known is None:
            return None
        return Labels(friendly_name=known.name) if known.metadata is None else read_labels(known.metadata)

    @property
    def endpoint(self) -> str | None:
        """Our endpoint address; None while the scanner's, which it is derived from, has still to be asked for.

        Where the scanner's metadata does not tell it, ours is derived from the scanner's name here.
        """
        if self.own_endpoint is not None:
            return self.own_endpoint if self._guise.same else derived_endpoint(self.own_endpoint)
        has_to_ask = self._guise.has_device and self._version is None
        return None if has_to_ask else derived_endpoint(self._scanner)

    @property
    def service(self) -> TargetService | None:
        """What clients are told without being asked to wait; None while the scanner is gone, or not known yet."""
        endpoint = self.endpoint
        if endpoint is None or self._version is None or not self._is_here():
            return None
        return stand_in_service(endpoint, self._scopes, self._version)

    def path(self) -> str:
        """Where it is under a base address."""
        return f"/{self._scanner}"

    async def match(self) -> TargetService | None:
        """What a client is told that asks for it, but for the address; None while the scanner is gone."""
        if self._known is None or not self._is_here():
            observer = self._learn(afresh=True)
            observer.addTimeout(PATIENCE, self._reactor)
            try:
                await observer
            except (DeviceError, TimedOut):
                pass  # it may be busy; what is known of it decides
        endpoint = self.endpoint
        if endpoint is None or not self._is_here():
            return None
        return stand_in_service(endpoint, self._scopes, self._version or 1)

    async def answer_get(self, envelope: Envelope, base: str) -> tuple[Answer | Refuse, str]:
        """What a client gets for WS-Transfer Get that has reached us under `base`, and where that came from."""
        try:
            known = await self._learn()
        except DeviceError as error:
            return Refuse(fault_for(error)), DEVICE if error.sent else REFUSED
        return Answer(compose(action=f"{WXF}/GetResponse", message_id=self._new_id(), to=ANONYMOUS,
                              relates_to=envelope.message_id, body=self._write(known, base), namespaces={})), LOCAL

    def _write(self, known: Described, base: str) -> str:
        here = base + self.path()
        endpoint = located(stand_in_service(self.endpoint or derived_endpoint(self._scanner), (), 1), here).endpoint
        scan = f"{here}/scan"
        suffix = self._guise.suffix
        if known.metadata is None:
            return make_metadata(endpoint=endpoint, info=known.info, scan=scan,
                                 name=f"{name_of(known.name, known.info, self._scanner)}{suffix}")
        return stand_in(known.metadata, endpoint=endpoint, scan=scan, hosts=self._hosts(), suffix=suffix,
                        name=self._scanner)
