"""The header fields of requests and answers on the link between gateways.

A passed request is a POST with the client's path, body and end-to-end fields, and three more::

    WSDGateway-Client: 192.0.2.9:51022      the client's address as the first gateway saw it
    WSDGateway-Secret: 0f3c…                the secret of the gateways, in hexadecimal digits
    WSDGateway-Passed: ["server-b" …]       the rest, as `Passed`, in JSON

The answer has the client's answer, and what the first gateway needs for its records::

    WSDGateway-Token: 17                    the fencing token of the owner; absent if the gateway is not the owner
    WSDGateway-Body: 1036                   the length of the client's answer; `Record` follows it in the body, in JSON
    WSDGateway-Length: 48211 or chunked     instead, with a streamed answer: the length of its body, if it is known
    WSDGateway-Record: ["GetJobElements" …] `Record`, in a trailer of such an answer, or in the head without a body
    WSDGateway-Owner: ["…", "server-a" …]   with 421, the owner, if it is known

The record of a whole answer follows its body so that the heads of such answers are equal: a head that has been read
before is not parsed again.

Client and secret are next to each other, so that the requests of different clients have equal bytes before and after
them. Fields with this prefix never reach a scanner or a client.
"""

import json
from functools import lru_cache
from typing import Any, TypeVar

import attrs

from wsdgateway.bridge.cluster.values import Registration, is_text
from wsdgateway.http.messages import FRAMING, Headers, end_to_end
from wsdgateway.http.urls import is_http

PREFIX = b"wsdgateway-"
CLIENT, SECRET, PASSED = b"WSDGateway-Client", b"WSDGateway-Secret", b"WSDGateway-Passed"
TOKEN, RECORD, OWNER = b"WSDGateway-Token", b"WSDGateway-Record", b"WSDGateway-Owner"
BODY, LENGTH = b"WSDGateway-Body", b"WSDGateway-Length"
CHUNKED = b"chunked"
MAX_FIELD = 16384  # bytes of one field with JSON
MAX_TEXT = 4096  # characters of one value in it
MAX_TOKEN_DIGITS = 20
MAX_LENGTH_DIGITS = 15

_DROPPED = FRAMING | frozenset((b"host", b"expect"))


@attrs.frozen
class Passed:
    """The description of a passed request, apart from its client, path, body and fields.

    `front` is the name of the gateway that the client reached, at the URL `base`, by TLS if `secure`, and at TCP port
    `port`; `host` is the authority that it named. The request is for the resource of `scanner` at `prefix`, `rest`
    being the path below it. `unread` tells of a request that broke off, or was refused before it was complete.
    """

    front: str
    scanner: str
    prefix: str
    rest: str
    method: str
    host: str
    base: str
    port: int
    secure: bool
    unread: bool = False


@attrs.frozen
class Record:
    """The record of an exchange that the owner leaves to another gateway. `scanner` is None if it was not for one.

    `operation`, `source`, `fault`, `action`, `message_id`, `job_id` and `protocol` are those of the line in the
    exchange log. `refused` is the reason for a refusal by a rule or limit, `resource` that of eSCL; both are for the
    metrics. `is_event` is true for a scanner's notification, which the owner has recorded itself. `is_exempt` is true
    if the request counts against no quota.
    """

    operation: str
    source: str
    scanner: str | None = None
    fault: str | None = None
    action: str | None = None
    message_id: str | None = None
    job_id: str | None = None
    protocol: str | None = None
    refused: str | None = None
    resource: str | None = None
    is_event: bool = False
    is_exempt: bool = False


T = TypeVar("T", Passed, Record)


class BadFields(ValueError):
    """The fields of a message on the peer link are missing or wrong; the text says which."""


def write_passed(passed: Passed) -> bytes:
    """The value of the field for a passed request."""
    return _write(attrs.astuple(passed))


@lru_cache(maxsize=512)
def read_passed(value: bytes) -> Passed:
    """Read the value of the field. Raises `BadFields`."""
    return _read(Passed, value)


def write_record(record: Record) -> bytes:
    """The value of the field for a record."""
    return _write((record.operation, record.source, record.scanner, record.fault, record.action, record.message_id,
                   record.job_id, record.protocol, record.refused, record.resource, record.is_event,
                   record.is_exempt))


def read_record(value: bytes) -> Record:
    """Read the value of the field. Raises `BadFields`."""
    return _read(Record, value)


_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def _write(values: tuple[Any, ...]) -> bytes:
    return _encode([value[:MAX_TEXT] if isinstance(value, str) else value for value in values]).encode("ascii")


_TYPES: dict[type, tuple[tuple[type, ...], ...]] = {
    Passed: ((str,),) * 7 + ((int,), (bool,), (bool,)),
    Record: ((str,), (str,)) + ((str, type(None)),) * 8 + ((bool,), (bool,)),
}


def _parsed(value: bytes) -> Any:
    """The value in JSON; None if it is not JSON in UTF-8, or too long."""
    try:
        return json.loads(value.decode()) if len(value) <= MAX_FIELD else None
    except (ValueError, RecursionError):
        return None


def _is_right(value: object, types: tuple[type, ...]) -> bool:
    return type(value) in types and (type(value) is not str or (len(value) <= MAX_TEXT and is_text(value)))


def _read(kind: type[T], value: bytes) -> T:
    types = _TYPES[kind]
    values = _parsed(value)
    if not isinstance(values, list) or len(values) != len(types) or not all(map(_is_right, values, types)):
        raise BadFields(f"its field about the {kind.__name__.lower()} request must be a list of {len(types)} values "
                        "as this version writes them; run the same version on all gateways")
    return kind(*values)


def clients_fields(headers: Headers) -> Headers:
    """The client's fields that are passed: those for more than one connection, without any of this link's."""
    return [field for field in end_to_end(headers, _DROPPED) if not field[0].lower().startswith(PREFIX)]


def without_own(headers: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
    """Fields of an answer without those of this link."""
    return tuple([field for field in headers if not field[0].lower().startswith(PREFIX)])


@attrs.frozen
class AnswerFields:
    """This link's fields of an answer; None for those that it lacks.

    `body` is the length of the client's answer in the body of a whole one. `length` is the length of a streamed body,
    -1 if it is not known, and None for an answer that is not streamed.
    """

    token: int | None = None
    record: Record | None = None
    length: int | None = None
    owner: Registration | None = None
    body: int | None = None


def read_answer(headers: Headers) -> AnswerFields:
    """Read this link's fields of an answer, or of its trailers. Raises `BadFields`."""
    token: int | None = None
    record: Record | None = None
    length: int | None = None
    owner: Registration | None = None
    body: int | None = None
    for name, value in headers:
        if name == TOKEN:
            token = _number(value, MAX_TOKEN_DIGITS, "token")
        elif name == RECORD:
            record = read_record(value)
        elif name == LENGTH:
            length = -1 if value == CHUNKED else _number(value, MAX_LENGTH_DIGITS, "length")
        elif name == BODY:
            body = _number(value, MAX_LENGTH_DIGITS, "length")
        elif name == OWNER:
            owner = read_owner(value)
    return AnswerFields(token, record, length, owner, body)


def _number(value: bytes, digits: int, what: str) -> int:
    if not value.isdigit() or len(value) > digits:
        raise BadFields(f"its {what} must be a number of at most {digits} digits")
    return int(value)


def write_owner(owner: Registration) -> bytes:
    """The value of the field that names the owner."""
    return _write((owner.identifier, owner.name, owner.address))


def read_owner(value: bytes) -> Registration:
    """Read the value of the field that names the owner. Raises `BadFields`."""
    values = _parsed(value)
    if (not isinstance(values, list) or len(values) != 3 or not all(map(is_text, values))
            or not (values[2] == "" or is_http(values[2]))):
        raise BadFields("the owner that it names must be an identifier, a name and an http URL")
    return Registration(values[0], values[1], values[2], "")
