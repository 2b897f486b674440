"""Exports captures as a HAR file, which the developer tools of browsers can open.

HTTP Archive 1.2. Each side of an exchange is an entry; fields whose names begin with `_` are extensions of ours.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl

from wsdgateway.exchangelog.entry import timestamp
from wsdgateway.exchangelog.folder import NOBODY, Captured
from wsdgateway.exchangelog.reading import WireMessage, read_message


def write_har(captures: Iterable[Captured]) -> Iterator[str]:
    """Yields the HAR file in pieces, so that it need not fit into memory. Raises `CaptureError`."""
    creator = json.dumps({"name": "wsdgateway", "version": version("wsdgateway")})
    yield f'{{"log": {{"version": "1.2", "creator": {creator}, "entries": ['
    separator = "\n"
    for captured in captures:
        for side in captured.files:
            yield separator + json.dumps(har_entry(captured, side))
            separator = ",\n"
    yield "\n]}}\n"


def har_entry(captured: Captured, side: str) -> dict[str, Any]:
    """Returns the HAR entry of one side of an exchange."""
    scanner = None if captured.scanner == NOBODY else captured.scanner
    milliseconds = round(captured.seconds * 1000, 3)
    return {
        "startedDateTime": timestamp(captured.time),
        "time": milliseconds,
        "request": _request(read_message(captured.read(side, "request") or b"", request=True)),
        "response": _response(read_message(captured.read(side, "response") or b"", request=False)),
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds, "receive": 0},
        "comment": f"{scanner or 'no scanner'}, {captured.operation}, on the side of the {side}",
        "_scanner": scanner, "_operation": captured.operation, "_side": side, "_capture": captured.name,
    }


def _request(message: WireMessage) -> dict[str, Any]:
    method, target, protocol = (*message.first_line.split(" "), "", "", "")[:3]
    host = message.field(b"host").decode("latin-1") or "unknown"
    url = target if "://" in target else f"http://{host}{target}"
    written: dict[str, Any] = {
        "method": method or "POST", "url": url, "httpVersion": protocol or "HTTP/1.1", "cookies": [],
        "headers": _headers(message), "headersSize": -1, "bodySize": len(message.content),
        "queryString": [{"name": name, "value": value} for name, value in parse_qsl(
            target.partition("?")[2], keep_blank_values=True)]}
    if message.content:
        written["postData"] = {"mimeType": message.field(b"content-type").decode("latin-1"), "params": [],
                               "text": message.content.decode("utf-8", "replace")}
    return written


def _response(message: WireMessage) -> dict[str, Any]:
    protocol, _, phrase = (*message.first_line.split(" ", 2), "", "", "")[:3]
    return {
        "status": message.status, "statusText": phrase, "httpVersion": protocol or "HTTP/1.1", "cookies": [],
        "headers": _headers(message), "redirectURL": message.field(b"location").decode("latin-1"),
        "headersSize": -1, "bodySize": _size(message) if message.first_line else -1, "content": _content(message),
        **({} if message.whole else {"comment": "incomplete" if message.first_line else "no answer"})}


def _content(message: WireMessage) -> dict[str, Any]:
    written: dict[str, Any] = {"size": _size(message),
                               "mimeType": message.field(b"content-type").decode("latin-1")}
    try:
        written["text"] = message.content.decode("utf-8")
    except UnicodeDecodeError:
        written["text"] = base64.b64encode(message.content).decode()
        written["encoding"] = "base64"
    left_out = [part.left_out for part in message.parts if part.left_out is not None]
    if left_out:
        written["comment"] = "images were left out: " + ", ".join(f"{one.length} bytes" for one in left_out)
    return written


def _size(message: WireMessage) -> int:
    """Returns the original length of the content, including images that were left out."""
    left_out = [part.left_out for part in message.parts if part.left_out is not None]
    return len(message.content) + sum(one.length - len(one.note()) for one in left_out)


def _headers(message: WireMessage) -> list[dict[str, str]]:
    return [{"name": name.decode("latin-1"), "value": value.decode("latin-1")} for name, value in message.headers]
