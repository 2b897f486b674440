"""A file that waits for its upload server, as it is recorded on disk. Times are in seconds since 1970."""

from typing import Any

import attrs

WAITING, SENT, FAILED = "waiting", "sent", "failed"
LARGEST = 1 << 62  # that a number in a record may be; sums and times are computed from them


@attrs.frozen
class Upload:
    """A file in the upload queue.

    `id` names its files there, `name` is the file name that the server gets, `source` the path where the scan was
    written. `attempts` counts the requests without success, `not_before` is the time of the next one, and
    `server_trouble` is True if the last one failed for a reason that concerns every file for that server. `reason` says
    why the last one failed. `state` is `WAITING`, or `SENT` or `FAILED` while the file is removed from the queue.
    """

    id: str
    destination: str
    scanner: str
    name: str
    source: str
    pages: int
    size: int
    queued: float
    attempts: int = 0
    not_before: float = 0.0
    server_trouble: bool = False
    reason: str = ""
    state: str = WAITING


_KINDS: dict[str, type | tuple[type, ...]] = {
    field.name: (int, float) if field.type is float else field.type for field in attrs.fields(Upload) if field.type}


def as_record(upload: Upload) -> dict[str, Any]:
    """Returns an upload as an object for JSON."""
    return attrs.asdict(upload)


def from_record(record: Any) -> Upload:
    """Returns the upload in an object from JSON; keys of other versions are ignored. Raises `ValueError`."""
    if not isinstance(record, dict):
        raise ValueError("it is no JSON object")
    known = {key: record[key] for key in _KINDS if key in record}
    for key, value in known.items():
        if not isinstance(value, _KINDS[key]) or isinstance(value, bool) is not (_KINDS[key] is bool):
            raise ValueError(f"its {key} is wrong")
        if isinstance(value, str) and not _is_plain(value):
            raise ValueError(f"its {key} has characters that no path can have")
        if isinstance(value, int | float) and not abs(value) <= LARGEST:  # also NaN
            raise ValueError(f"its {key} is out of range")
    try:
        upload = Upload(**known)
    except TypeError:
        raise ValueError("a key is missing") from None
    if upload.state not in (WAITING, SENT, FAILED) or upload.size < 0 or upload.attempts < 0:
        raise ValueError("a value is out of range")
    if "/" in upload.name or upload.name in ("", ".", ".."):
        raise ValueError("its name is no file name")
    return upload


def _is_plain(text: str) -> bool:
    """True if a text can be part of a path: it has no NUL, and no half of a surrogate pair."""
    try:
        return b"\0" not in text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
