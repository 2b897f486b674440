"""Log entries: one exchange, event or discovery message each, and its representation as a line of JSON."""

from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

EVENT, DISCOVERY, OWN = "event", "discovery", "own"  # besides the values in `metrics`: local, device, refused
MAX_TEXT = 1000  # bound for texts whose length the other side chooses

_text = lru_cache(maxsize=4096)(encode_basestring_ascii)  # names, operations and actions recur


def is_failed(status: int | None, fault: str | None, source: str) -> bool:
    """True if an exchange ended in a fault, an error status or no answer. Discovery messages have no answer.

    "No more images" is how every scan from a feeder ends, so it is not a failure.
    """
    if fault == "ClientErrorNoImagesAvailable":
        return False
    return fault is not None or (source != DISCOVERY if status is None else status >= 400)


def duration(seconds: float) -> str:
    """Formats a duration for display."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


class Entry(NamedTuple):
    """An entry of the log. `time` is the start in seconds since 1970, `seconds` the duration.

    Byte counts are those of bodies. Unknown values are None: `status` if the client disconnected before the answer,
    `client` if the gateway made the request. `user` and `job_name` are set only if the log is to name people;
    `protocol` is set for another one than SOAP, and `via` names the gateway that answered instead of this one.

    A named tuple, because every status read creates one: a frozen attrs class takes five times as long.
    """

    time: float
    scanner: str | None
    client: str | None
    operation: str
    action: str | None
    message_id: str | None
    job_id: str | None
    source: str
    status: int | None
    fault: str | None
    request_bytes: int
    response_bytes: int
    seconds: float
    capture: str | None = None
    user: str | None = None
    job_name: str | None = None
    protocol: str | None = None
    via: str | None = None

    @property
    def failed(self) -> bool:
        """True if the exchange failed."""
        return is_failed(self.status, self.fault, self.source)


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def timestamp(seconds: float) -> str:
    """Formats a time as UTC, with milliseconds."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{_second(whole)}.{thousandths:03d}Z"


_LONG = ("action", "message_id", "job_id", "fault", "user", "job_name")


def bounded(entry: Entry) -> Entry:
    """Returns the entry with overlong texts truncated."""
    texts = (entry.action, entry.message_id, entry.job_id, entry.fault, entry.user, entry.job_name)
    if sum([len(text) for text in texts if text is not None]) <= MAX_TEXT:
        return entry
    cut: dict[str, Any] = {name: f"{text[:MAX_TEXT]}…" for name, text in zip(_LONG, texts, strict=True)
                           if text is not None and len(text) > MAX_TEXT}
    return entry._replace(**cut)


def _quoted(text: str | None) -> str:
    return "null" if text is None else _text(text)


def _unique(text: str | None) -> str:
    """Quotes a text that rarely recurs, without caching it."""
    return "null" if text is None else encode_basestring_ascii(text)


def write_entry(entry: Entry) -> str:
    """Returns the entry as a JSON object without a line break. Control and non-ASCII characters are escaped."""
    (time, scanner, client, operation, action, message_id, job_id, source, status, fault, request_bytes,
     response_bytes, seconds, capture, user, job_name, protocol, via) = entry
    people = ""
    if user is not None or job_name is not None:
        people = f',"user":{_unique(user)},"job_name":{_unique(job_name)}'
    other = "" if protocol is None else f',"protocol":{_text(protocol)}'
    if via is not None:
        other += f',"via":{_text(via)}'
    return (
        f'{{"time":"{timestamp(time)}","scanner":{_quoted(scanner)},"client":{_quoted(client)},'
        f'"operation":{_quoted(operation)},"action":{_quoted(action)},"message_id":{_unique(message_id)},'
        f'"job_id":{_quoted(job_id)},"source":"{source}","status":{"null" if status is None else status},'
        f'"fault":{_quoted(fault)},"request_bytes":{request_bytes},"response_bytes":{response_bytes},'
        f'"seconds":{max(seconds, 0.0):.6f},"capture":{_unique(capture)}{people}'
        f'{other}}}')


def describe(entry: Entry) -> dict[str, Any]:
    """Returns the entry as a dictionary."""
    described: dict[str, Any] = entry._asdict()
    described["time"], described["seconds"] = timestamp(entry.time), round(max(entry.seconds, 0.0), 6)
    if entry.user is None and entry.job_name is None:
        del described["user"], described["job_name"]
    if entry.protocol is None:
        del described["protocol"]
    if entry.via is None:
        del described["via"]
    return described
