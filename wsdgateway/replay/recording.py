"""Reads one scanner's recording from a folder of captures: its answers, its events, and how they belong together.

Events are replayed at their distance in time from the request that they followed: the last one of the same job before
them or, if there is none, the last Subscribe.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

import attrs

from wsdgateway.bridge.events.intake import read_notification
from wsdgateway.bridge.frontends.frontend import Rejected
from wsdgateway.exchangelog.folder import NOBODY, Captured, CaptureError
from wsdgateway.exchangelog.reading import WireMessage, read_message
from wsdgateway.exchangelog.tape import CLIENT, EVENT
from wsdgateway.scan.jobs import job_id_of, read_created
from wsdgateway.scan.operations import CREATE_SCAN_JOB, SUBSCRIBE, operation_of
from wsdgateway.scan.reading import tag
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.parsing import Malformed, text_of


@attrs.frozen(eq=False)
class Exchange:
    """A recorded request, reduced to the values it is matched by, and its answer.

    `asked` has the details of the request, `created` the JobId in the answer. `second_hand` is true if the
    answer is the gateway's own, derived from earlier ones of the scanner. Times are in seconds. Answers may contain
    images, so they are read again when they are replayed.
    """

    operation: str
    job_id: str | None
    asked: tuple[str, ...]
    path: str
    at: float
    seconds: float
    captured: Captured
    side: str
    created: str | None = None
    fault: str | None = None
    second_hand: bool = False

    def answer(self) -> WireMessage:
        """The recorded answer; without a first line if there was none. Raises `CaptureError`."""
        return read_message(self.captured.read(self.side, "response") or b"", request=False)


@attrs.frozen(eq=False)
class Event:
    """A recorded notification, sent `delay` seconds after its anchor."""

    name: str
    job_id: str | None
    at: float
    raw: bytes
    anchor: Exchange | None = None
    delay: float = 0.0


@attrs.frozen(eq=False)
class Recording:
    """The recording of one scanner. `hosts` has the names by which clients addressed it."""

    scanner: str
    exchanges: tuple[Exchange, ...]
    events: tuple[Event, ...]
    hosts: frozenset[str]


def asked_for(envelope: Envelope) -> tuple[str, ...]:
    """The details of a request: the requested element names, or for a new job the source and the format."""
    body = envelope.body
    if body is None:
        return ()
    if operation_of(envelope.action or "") is CREATE_SCAN_JOB:
        return tuple(text_of(next(body.iter(tag(name)), None)) or "" for name in ("InputSource", "Format"))
    return tuple(sorted((text_of(element) or "").rpartition(":")[2] for requested in body.iter(
        tag("RequestedElements")) for element in requested.iterchildren(tag("Name"))))


def operation_name(action: str) -> str:
    """The name that a request is matched by: the operation or, if that is unknown, the action."""
    known = operation_of(action)
    return known.name if known.name != "other" else action


def read_recording(captures: Iterable[Captured], scanner: str | None) -> Recording:
    """Read the recording of that scanner, or of the only one. Raises `CaptureError`."""
    captures = list(captures)
    names = sorted({one.scanner for one in captures if one.scanner != NOBODY})
    if scanner is None:
        if len(names) != 1:
            raise CaptureError(
                f"the captures are of {len(names)} scanners; select one with --scanner: {', '.join(names)}")
        scanner = names[0]
    elif scanner not in names:
        raise CaptureError(f"the captures contain no exchanges of the scanner {scanner}, only of {', '.join(names)}")
    exchanges: list[Exchange] = []
    events: list[Event] = []
    hosts: set[str] = set()
    for captured in captures:
        if captured.scanner == scanner:
            if captured.side == EVENT:
                events.extend(_event(captured))
            else:
                exchanges.extend(_exchange(captured, hosts))
    if not exchanges:
        raise CaptureError(f"the captures contain no answer of the scanner {scanner}")
    return Recording(scanner, tuple(exchanges), tuple(_anchored(event, exchanges) for event in events),
                     frozenset(hosts - {""}))


def _event(captured: Captured) -> list[Event]:
    message = read_message(captured.read(EVENT, "request") or b"", request=True)
    notification = read_notification(message.content)
    if isinstance(notification, Rejected) or notification.event is None:
        return []
    status = notification.status
    return [Event(notification.event, None if status is None else status.job_id, captured.time, message.content)]


def _exchange(captured: Captured, hosts: set[str]) -> list[Exchange]:
    side = captured.side
    request = read_message(captured.read(side, "request") or b"", request=True)
    answer = read_message(captured.read(side, "response") or b"", request=False)
    hosts.add(_host(request))
    try:
        envelope = read(request.content)
    except Malformed:
        return []
    if envelope.action is None:
        return []
    created = fault = None
    try:
        said = read(answer.envelope)
        made = read_created(said.body)
        created, fault = None if made is None else made.job_id, fault_of(said)
    except Malformed:
        pass  # a bare status is an answer, too
    second_hand = side == CLIENT
    if second_hand and (fault is not None or answer.status != 200):
        return []
    return [Exchange(
        operation_name(envelope.action), job_id_of(envelope.body), asked_for(envelope), _path(request),
        captured.time, captured.seconds, captured, side, created, fault, second_hand)]


def _path(request: WireMessage) -> str:
    target = (*request.first_line.split(" "), "/", "/")[1].partition("?")[0]
    return target if target.startswith("/") else "/"


def _host(request: WireMessage) -> str:
    """The host that the request was sent to; empty if it can't be read."""
    try:
        return urlsplit(f"//{request.field(b'host').decode('latin-1')}").hostname or ""
    except ValueError:
        return ""


def _anchored(event: Event, exchanges: list[Exchange]) -> Event:
    before = [one for one in exchanges if one.at <= event.at and not one.second_hand and event.job_id is not None
              and event.job_id in (one.job_id, one.created)]
    if before:
        return attrs.evolve(event, anchor=before[-1], delay=event.at - before[-1].at)
    created = [one for one in exchanges if event.job_id is not None and one.created == event.job_id]
    if created:
        return attrs.evolve(event, anchor=created[0])
    subscribed = [one.at for one in exchanges if one.operation == SUBSCRIBE.name and one.at <= event.at]
    return attrs.evolve(event, delay=max(0.0, event.at - (subscribed or [exchanges[0].at])[-1]))


def creations(recording: Recording) -> list[Exchange]:
    """The answers to CreateScanJob, in order."""
    return [one for one in recording.exchanges if one.operation == CREATE_SCAN_JOB.name and not one.second_hand]
