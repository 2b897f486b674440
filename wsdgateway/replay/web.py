"""The HTTP interface of a replayed scanner: answers requests from the script, and sends the events that follow.

WS-Scan over SOAP. WS-Eventing is not replayed but served anew, since today's subscribers are not the recorded ones.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from wsdgateway.bridge.events.fanout import prepare
from wsdgateway.exchangelog.folder import CaptureError
from wsdgateway.exchangelog.images import read_note
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.replay.recording import Event, Recording, asked_for, operation_name
from wsdgateway.replay.script import Played, Script
from wsdgateway.replay.writing import answer_body, bare_image, renewed, to_listener
from wsdgateway.scan.jobs import job_id_of
from wsdgateway.scan.operations import EVENTING_OPERATIONS, GET_METADATA, SCAN_AVAILABLE, SUBSCRIBE, operation_of
from wsdgateway.simulator.events import Subscribers, Subscription
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.envelope import CONTENT_TYPE, Envelope, compose, read
from wsdgateway.soap.faults import Fault, Refused, action_missing, internal_error, invalid_args, write_fault
from wsdgateway.soap.namespaces import WSCN, WSE
from wsdgateway.soap.parsing import Malformed

MAX_BODY = 1 << 20
PIECE = 65536
MAX_DUE = 1000
APART = 0.001  # seconds between two events of a job, at any speed
_ANYWHERE = frozenset(operation.name for operation in EVENTING_OPERATIONS)  # clients send these to several addresses


class _BrokenOff(Exception):
    """An incomplete recorded answer: the part that was recorded, with status 0 if nothing was."""

    def __init__(self, status: int, content_type: bytes, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.content_type = content_type
        self.body = body


@implementer(IResource)
class Replay(Resource):
    """Serves every address of the scanner. `speed` divides all times of the recording."""

    isLeaf = True
    log = Logger()

    def __init__(self, reactor: Any, recording: Recording, *, speed: float, wall: Callable[[], float],
                 new_id: Callable[[], str], say: Callable[[str], None]) -> None:
        super().__init__()
        self._reactor = reactor
        self._recording = recording
        self._script = Script(recording)
        self._speed = speed
        self._new_id = new_id
        self._say = say
        self._later: set[Any] = set()
        self._running = Tasks("Replaying an answer or event failed")
        self._waiting = list(self._script.without_anchor())
        self._due: dict[str, float] = {}
        refusals = [one for one in recording.exchanges if one.operation == SUBSCRIBE.name]
        self._refusal = refusals[0] if refusals and all(one.fault for one in refusals) else None
        self.subscribers = Subscribers(reactor, mode="all", longest=3600.0, wall=wall, new_id=new_id)

    def render(self, request: Request) -> int | bytes:
        if request.method != b"POST":
            request.setResponseCode(405)
            request.setHeader(b"allow", b"POST")
            return b""
        self._running.run(self._answer(request))
        return NOT_DONE_YET

    async def _answer(self, request: Any) -> None:
        gone = request.notifyFinish()
        gone.addErrback(lambda _: None)
        envelope: Envelope | None = None
        try:
            body = request.content.read(MAX_BODY + 1)
            if len(body) > MAX_BODY:
                raise Malformed(f"the request is larger than {MAX_BODY} bytes")
            envelope = read(body)
            if envelope.action is None:
                raise Refused(action_missing())
            self._say(f"{operation_name(envelope.action)} {job_id_of(envelope.body) or ''}".strip())
            status, content_type, answer = await self._perform(request, envelope)
        except Malformed as error:
            status, content_type, answer = self._fault(envelope, invalid_args(str(error)))
        except Refused as refused:
            status, content_type, answer = self._fault(envelope, refused.fault)
        except CaptureError as error:
            status, content_type, answer = self._fault(envelope, internal_error(str(error)))
        except _BrokenOff as broken:
            if not gone.called:
                self._break_off(request, broken)
            return
        except Exception as error:  # a defect in the recording must not leave a client without an answer
            self._say(f"an answer cannot be replayed: {error}")
            status, content_type, answer = self._fault(envelope, internal_error("The recorded answer cannot be "
                                                                                "replayed."))
        if not gone.called:
            self._write_head(request, status, content_type, len(answer))
            for at in range(0, len(answer), PIECE):
                request.write(answer[at:at + PIECE])
            request.finish()

    def _write_head(self, request: Any, status: int, content_type: bytes, length: int) -> None:
        request.setResponseCode(status)
        request.setHeader(b"content-type", content_type)
        request.setHeader(b"content-length", b"%d" % length)

    def _break_off(self, request: Any, broken: "_BrokenOff") -> None:
        """Break off as the scanner did: after a part of the answer, or without any."""
        if broken.status:
            self._write_head(request, broken.status, broken.content_type, len(broken.body) + 1)
            request.write(broken.body)
        request.channel.loseConnection()

    def _fault(self, envelope: Envelope | None, fault: Fault) -> tuple[int, bytes, bytes]:
        return fault.status, CONTENT_TYPE, write_fault(
            fault, relates_to=envelope.message_id if envelope else None, message_id=self._new_id())

    async def _perform(self, request: Any, envelope: Envelope) -> tuple[int, bytes, bytes]:
        assert envelope.action is not None
        base = _base(request)
        operation = operation_of(envelope.action)
        if operation in EVENTING_OPERATIONS and (operation is not SUBSCRIBE or self._refusal is None):
            answer = compose(
                action=f"{envelope.action}Response", message_id=self._new_id(), to=ANONYMOUS,
                relates_to=envelope.message_id, body=self._eventing(envelope, operation.name, base),
                namespaces={"wscn": WSCN, "wse": WSE})
            return 200, CONTENT_TYPE, answer
        if operation is SUBSCRIBE and self._refusal is not None:
            played = Played(self._refusal, {})
        else:
            played = self._script.answer(operation_name(envelope.action), job_id_of(envelope.body), asked_for(envelope))
        for event in played.events:
            self._after(event.delay, partial(self._tell, event, played.jobs, base),
                        of=played.jobs.get(event.job_id or "", ""))
        await self._pause(played.exchange.seconds)
        return await deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), self._write, played, envelope.message_id, base)

    def _write(self, played: Played, relates_to: str | None, base: str) -> tuple[int, bytes, bytes]:
        """Write the answer. Runs in a thread, since it draws pages."""
        answer = played.exchange.answer()
        left_out = read_note(answer.content)
        try:
            body = bare_image(answer, left_out) if left_out is not None and left_out.length else answer_body(
                answer, message_id=self._new_id(), relates_to=relates_to, hosts=self._recording.hosts, base=base,
                jobs=played.jobs)
        except Malformed:
            body = answer.content  # no SOAP: a bare status, or an answer outside the specification
        content_type = answer.field(b"content-type") or CONTENT_TYPE
        if not answer.whole:
            raise _BrokenOff(answer.status, content_type, body[:len(body) * 2 // 3])
        return answer.status, content_type, body

    def _eventing(self, envelope: Envelope, name: str, base: str) -> str:
        answer = self.subscribers.answer(name, envelope, f"{base}/subscriptions")
        if name == SUBSCRIBE.name:
            self._begin(list(self.subscribers.held.values())[-1], base)
        return answer

    def _begin(self, subscription: Subscription, base: str) -> None:
        """Send the events that followed no job's request after the first Subscribe that includes them."""
        wanted = [event for event in self._waiting if event.name in subscription.events
                  and (event.name != SCAN_AVAILABLE or subscription.destinations)]
        for event in wanted:
            self._waiting.remove(event)
            self._after(event.delay, partial(self._tell, event, {}, base))

    def _tell(self, event: Event, jobs: dict[str, str], base: str) -> None:
        """Send a recorded event to the current subscribers."""
        envelope = read(event.raw)
        if envelope.header is None:
            return
        for element in list(envelope.header.iterchildren(f"{{{WSE}}}Identifier")):
            envelope.header.remove(element)
        again = renewed(envelope, message_id=self._new_id(), relates_to=None, hosts=self._recording.hosts, base=base,
                        jobs=jobs)
        told = self.subscribers.publish_message(event.name, lambda listener: prepare(
            to_listener(read(again), tuple(listener.destinations))).to(listener.notify_to, self._new_id()))
        job = jobs.get(event.job_id or "", event.job_id or "")
        self._say(f"{event.name} {job}".strip() + f" (sent to {told} subscriber(s))")

    def _after(self, seconds: float, act: Callable[[], None], of: str = "") -> None:
        """Call `act` after so many recorded seconds. Calls with the same `of`, a JobId, keep their order."""
        now = self._reactor.seconds()
        at = max(now + seconds / self._speed, self._due.get(of, 0.0) + APART) if of else now + seconds / self._speed
        if of:
            if len(self._due) > MAX_DUE:
                self._due = {job: due for job, due in self._due.items() if due > now}
            self._due[of] = at

        def run() -> None:
            self._later.discard(call)
            act()
        call = self._reactor.callLater(at - now, run)
        self._later.add(call)

    async def _pause(self, seconds: float) -> None:
        if seconds:
            await deferLater(self._reactor, seconds / self._speed)

    def stop(self) -> None:
        """Stop all answers and events."""
        for call in self._later:
            call.cancel()
        self._later.clear()
        self._running.cancel()
        self.subscribers.stop()


_HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,300}")


def _base(request: Any) -> str:
    """The scheme and authority at which the client reached the scanner."""
    host = request.getHeader(b"host") or b""
    return f"http://{host.decode() if _HOST.fullmatch(host) else '127.0.0.1'}"


def paths(recording: Recording) -> dict[str, str]:
    """The paths of the `device` and the `scan` service, as far as recorded; all other paths work as well."""
    found: dict[str, str] = {}
    for exchange in recording.exchanges:
        if not exchange.second_hand and exchange.operation not in _ANYWHERE:
            found.setdefault("device" if exchange.operation == GET_METADATA.name else "scan", exchange.path)
    return found
