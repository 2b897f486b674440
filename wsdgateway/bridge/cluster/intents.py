"""Decides about a CreateScanJob that an earlier owner of the scanner may have sent, so that it creates one job.

WS-Scan, CreateScanJob. Before the request is sent to the scanner, the owner writes its intent; before the client is
answered, the scanner's reply. An owner that dies between the two leaves an intent: the next owner cannot know whether
there is a job, and the JobToken is lost with the answer. So the client that repeats its request is told so for
`KEPT_SECONDS`, and no second job is created.
"""

import hashlib
import json
import re
from base64 import b64decode, b64encode

import attrs

from wsdgateway.bridge.cache.duplicates import MAX_REPLY, REMEMBERED_SECONDS, is_success, key_of
from wsdgateway.bridge.decisions import Outcome, Question, Reply
from wsdgateway.soap.faults import Fault, temporary_error

KEPT_SECONDS = REMEMBERED_SECONDS
_SENT, _REPLY = b"sent ", b"reply "
_NO_RECORD = "not a record of a CreateScanJob"
_UNSAFE = re.compile(rb"[\r\n\0]")  # in the head of the answer that is made of it
_IN_DOUBT = temporary_error(
    "The gateway that was asked for this scan job has failed, so it may be running; start it again in a minute.")


@attrs.frozen
class Record:
    """The record of a CreateScanJob by an owner: its token, and the reply once there is one."""

    token: int
    reply: Reply | None = None


def intent_key(question: Question) -> str | None:
    """Returns the key under which a CreateScanJob is recorded; None if its repetitions cannot be recognised."""
    key = key_of(question)
    if key is None:
        return None
    client, message_id, digest = key
    return hashlib.sha256(b"\0".join((client.encode(), message_id.encode(), digest))).hexdigest()


def write_record(record: Record) -> bytes:
    """Returns the record as it is kept."""
    reply = record.reply
    if reply is None:
        return b"%b%d" % (_SENT, record.token)
    head = [record.token, reply.status, *(b64encode(part).decode() for part in (reply.content_type, reply.reason)),
            [[b64encode(part).decode() for part in field] for field in reply.headers]]
    return b"%b%b\n%b" % (_REPLY, json.dumps(head).encode(), reply.body)


def read_record(data: bytes) -> Record:
    """Returns the record in these bytes. Raises `ValueError`."""
    if data.startswith(_SENT):
        return Record(int(data[len(_SENT):]))
    head, end, body = data.partition(b"\n")
    if not head.startswith(_REPLY) or not end:
        raise ValueError(_NO_RECORD)
    try:
        token, status, content_type, reason, fields = json.loads(head[len(_REPLY):])
        texts = [b64decode(content_type), b64decode(reason)]
        headers = tuple([(b64decode(name), b64decode(value)) for name, value in fields])
    except (TypeError, RecursionError):
        raise ValueError(_NO_RECORD) from None
    if type(token) is not int or type(status) is not int or not 100 <= status <= 599 or any(
            _UNSAFE.search(text) for text in (*texts, *[text for field in headers for text in field])):
        raise ValueError(_NO_RECORD)
    return Record(token, Reply(status, texts[0], body, texts[1], headers))


def decide(found: Record | None, token: int) -> Reply | Fault | None:
    """Returns the answer to a CreateScanJob about which that record was found, or None if it is to be sent.

    `token` is that of the present owner, whose own attempt, if there was one, has failed.
    """
    if found is None or (found.reply is None and found.token == token):
        return None
    return found.reply or _IN_DOUBT


def record_of(outcome: Outcome, token: int, *, was_sent: bool) -> Record | None:
    """Returns the record after a CreateScanJob; None if it has created no job, so that the intent is deleted.

    If it broke off after it was sent, or its reply cannot be read or is too large, the intent remains.
    """
    if not isinstance(outcome, Reply):
        return Record(token) if was_sent else None
    if outcome.status != 200 or outcome.fault is not None:
        return None
    is_kept = is_success(outcome) and len(outcome.body) <= MAX_REPLY
    return Record(token, outcome if is_kept else None)
