"""Recognises a CreateScanJob that a client repeats, so that one press of a button creates only one job.

Some clients send the same bytes again, MessageID included, if an answer takes longer than their time-out of two
seconds. The repetition waits for the first answer, or gets a copy of it. Faults are never remembered, since they may
ask the client to try again.
"""

import hashlib
from collections import OrderedDict

from wsdgateway.bridge.decisions import Forward, Question, Reply
from wsdgateway.soap.addressing import MAX_MESSAGE_ID
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.parsing import Malformed

REMEMBERED_SECONDS = 60.0
MAX_REMEMBERED = 256
MAX_REPLY = 262144

_Key = tuple[str, str, bytes]


class Duplicates:
    """The running CreateScanJobs of one scanner, and the successful ones of the last minute."""

    def __init__(self) -> None:
        self._running: dict[_Key, Forward] = {}
        self._done: OrderedDict[_Key, tuple[float, Reply]] = OrderedDict()

    def earlier(self, question: Question, now: float) -> Forward | Reply | None:
        """The running request or the remembered success that this one repeats."""
        key = key_of(question)
        if key is None:
            return None
        while self._done and now - next(iter(self._done.values()))[0] >= REMEMBERED_SECONDS:
            self._done.popitem(last=False)
        if key in self._running:
            return self._running[key]
        return self._done[key][1] if key in self._done else None

    def inherit(self, former: "Duplicates") -> None:
        """Add the successful requests of another object."""
        self._done.update(former._done)

    def started(self, forward: Forward) -> None:
        """Record that this CreateScanJob is sent to the device."""
        key = key_of(forward.question)
        if key is not None:
            self._running[key] = forward

    def ended(self, forward: Forward, reply: Reply | None, now: float) -> None:
        """Record that the request was answered, or failed (None)."""
        key = key_of(forward.question)
        if key is None or self._running.pop(key, None) is None:
            return
        if reply is not None and is_success(reply) and len(reply.body) <= MAX_REPLY:
            self._done[key] = (now, reply)
            if len(self._done) > MAX_REMEMBERED:
                self._done.popitem(last=False)


def key_of(question: Question) -> _Key | None:
    """The key that a repetition of the request has, too; None if its MessageID does not identify it."""
    message_id = question.envelope.message_id
    if message_id is None or len(message_id) > MAX_MESSAGE_ID:
        return None
    return question.client, message_id, hashlib.sha256(question.raw).digest()


def is_success(reply: Reply) -> bool:
    """Return whether the device carried out the request: status 200 with SOAP that is not a fault."""
    if reply.status != 200:
        return False
    try:
        return fault_of(reply.read()) is None
    except Malformed:
        return False
