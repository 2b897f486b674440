"""The HTTP of a replayed scanner: every request is answered as the script says, events follow.

WS-Scan over SOAP; WS-Eventing is served anew, since whoever listens today is not who listened then.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from wsdgateway.bridge.fanout import prepare
from wsdgateway.exchangelog.images import read_note
from wsdgateway.net.running import Running
from wsdgateway.replay.recording import Event, Recording, asked_for, operation_name
from wsdgateway.replay.script import Played, Script
from wsdgateway.replay.writing import answer_body, bare_image, renewed
from wsdgateway.scan.jobs import job_id_of
from wsdgateway.scan.operations import EVENTING_OPERATIONS, GET_METADATA, SUBSCRIBE, operation_of
from wsdgateway.simulator.events import Subscribers
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.envelope import CONTENT_TYPE, Envelope, compose, read
from wsdgateway.soap.faults import Fault, Refused, action_missing, invalid_args, write_fault
from wsdgateway.soap.namespaces import WSCN, WSE
from wsdgateway.soap.parsing import Malformed, text_of

MAX_BODY = 1 << 20
PIECE = 65536
_ANYWHERE = frozenset(operation.name for operation in EVENTING_OPERATIONS)  # clients send these to several addresses


@implementer(IResource)
class Replay(Resource):
    """Every address of the scanner. `speed` divides all times of the recording."""

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
        self._running = Running("while replaying")
        self._begun = False
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
        if gone.called:
            return
        request.setResponseCode(status)
        request.setHeader(b"content-type", content_type)
        request.setHeader(b"content-length", b"%d" % len(answer))
        for at in range(0, len(answer), PIECE):
            request.write(answer[at:at + PIECE])
        request.finish()

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
            self._after(event.delay, partial(self._tell, event, played.jobs, base))
        await self._pause(played.exchange.seconds)
        return await deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), self._write, played, envelope.message_id, base)

    def _write(self, played: Played, relates_to: str | None, base: str) -> tuple[int, bytes, bytes]:
        """In a thread: pages are drawn here."""
        answer = played.exchange.answer
        left_out = read_note(answer.content)
        try:
            body = bare_image(answer, left_out) if left_out is not None else answer_body(
                answer, message_id=self._new_id(), relates_to=relates_to, hosts=self._recording.hosts, base=base,
                jobs=played.jobs)
        except Malformed:
            body = answer.content  # no SOAP: a bare status, or what a scanner sends beside the specification
        return answer.status, answer.field(b"content-type") or CONTENT_TYPE, body

    def _eventing(self, envelope: Envelope, name: str, base: str) -> str:
        if envelope.body is None:
            raise Refused(invalid_args("The Body is empty."))
        if name == SUBSCRIBE.name:
            answer = self.subscribers.subscribe(envelope.body, f"{base}/subscriptions")
            if not self._begun:
                self._begun = True
                for event in self._script.without_anchor():
                    self._after(event.delay, partial(self._tell, event, {}, base))
            return answer
        identifier = text_of(envelope.root.find(f".//{{{WSE}}}Identifier"))
        if name == "Renew":
            return self.subscribers.renew(identifier, envelope.body)
        if name == "GetStatus":
            return self.subscribers.status(identifier)
        self.subscribers.unsubscribe(identifier)
        return ""

    def _tell(self, event: Event, jobs: dict[str, str], base: str) -> None:
        """A recorded event to whoever listens now."""
        envelope = read(event.raw)
        if envelope.header is None:
            return
        for element in list(envelope.header.iterchildren(f"{{{WSE}}}Identifier")):
            envelope.header.remove(element)
        again = prepare(read(renewed(envelope, message_id=self._new_id(), relates_to=None, hosts=self._recording.hosts,
                                     base=base, jobs=jobs)))
        told = self.subscribers.publish_message(event.name, lambda sink: again.to(sink, self._new_id()))
        self._say(f"{event.name} {jobs.get(event.job_id or '', event.job_id or '')} to {told}".strip())

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        def run() -> None:
            self._later.discard(call)
            act()
        call = self._reactor.callLater(seconds / self._speed, run)
        self._later.add(call)

    async def _pause(self, seconds: float) -> None:
        if seconds:
            await deferLater(self._reactor, seconds / self._speed)

    def stop(self) -> None:
        """Say nothing more."""
        for call in self._later:
            call.cancel()
        self._later.clear()
        self._running.cancel()
        self.subscribers.stop()


def _base(request: Any) -> str:
    host = request.getHeader(b"host") or b"127.0.0.1"
    return f"http://{host.decode('latin-1')}"


def paths(recording: Recording) -> dict[str, str]:
    """The paths of the `device` and the `scan` service, as far as the recording names them; any other does as well."""
    found: dict[str, str] = {}
    for exchange in recording.exchanges:
        if not exchange.second_hand and exchange.operation not in _ANYWHERE:
            found.setdefault("device" if exchange.operation == GET_METADATA.name else "scan", exchange.path)
    return found
