"""Fuzz targets for the code that reads HTTP, multipart bodies and captured messages; each is a function of bytes.

For any bytes, a target raises only `AssertionError`, if a guarantee is broken.
"""

import json
import re
import zlib
from ipaddress import ip_address
from itertools import pairwise
from random import Random

import attrs
import h11

from wsdgateway.bridge.dnssd.others import Others
from wsdgateway.bridge.dnssd.responder import Responder
from wsdgateway.dnssd import messages as dns
from wsdgateway.dnssd.scannerservice import ScannerService
from wsdgateway.exchangelog.folder import CaptureError
from wsdgateway.exchangelog.har import har_entry
from wsdgateway.exchangelog.images import Sieve
from wsdgateway.exchangelog.masking import SECRETS, Masks
from wsdgateway.exchangelog.reading import read_message
from wsdgateway.http.layout import Splitter, layout
from wsdgateway.http.requests import Continue, Refusal, Request, RequestReader
from wsdgateway.http.responses import BadAnswer, Data, End, Head, ResponseReader
from wsdgateway.mtom.multipart import BadMultipart, Closed, MultipartReader, PartBegin, PartData, PartEnd, boundary_of
from wsdgateway.replay.recording import read_recording
from wsdgateway.replay.script import Script
from wsdgateway.replay.writing import answer_body
from wsdgateway.soap.faults import Refused
from wsdgateway.soap.parsing import Malformed, parse

MAX_BODY = 4096
# Limits count bytes as they arrive, so close to a limit the result depends on the cuts: stay below all limits.
MAX_INPUT = 8192


def cuts(data):
    """Yields the same bytes whole, in small pieces, and in pieces that depend only on the bytes."""
    yield [data]
    size = 1 if len(data) < 2048 else 61
    yield [data[at:at + size] for at in range(0, len(data), size)]
    random = Random(zlib.crc32(data))
    places = sorted({0, len(data), *(random.randrange(len(data) + 1) for _ in range(4))})
    yield [data[first:last] for first, last in pairwise(places)]


def _requests(pieces):
    reader = RequestReader(MAX_BODY)
    events = []
    for piece in pieces:
        was_finished = reader.finished
        came = reader.feed(piece)
        assert not (was_finished and came), "there is an event after the end"
        events += came
    assert not any(isinstance(event, Refusal) for event in events[:-1]), "there is an event after a refusal"
    return events


def _values(event):
    if isinstance(event, Continue):
        return event
    return event.status if isinstance(event, Refusal) else attrs.astuple(event)


def http_requests(data):
    """Every cut gives the same requests; h11 reads the same requests; captures are split at the same places."""
    data = data[:MAX_INPUT]
    events, *others = [_requests(pieces) for pieces in cuts(data)]
    for other in others:
        assert [_values(event) for event in other] == [_values(event) for event in events], "a cut changes what is read"
    requests = [event for event in events if isinstance(event, Request)]
    splitter = Splitter()
    splitter.feed(data)
    for request in requests:
        assert len(request.body) <= MAX_BODY and request.path and b"?" not in request.path
        raw = splitter.take()
        assert layout(raw, request=True).content(raw) == request.body, "the capture has another body"
    refused = bool(events) and isinstance(events[-1], Refusal)
    _agree_with_h11(data, requests, refused)


def _agree_with_h11(data, requests, refused):
    """Checks that h11 sees no other framing in accepted requests, since request smuggling relies on such differences.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
    connection.receive_data(data)
    for request in requests:
        try:
            head = connection.next_event()
            if not isinstance(head, h11.Request):
                assert head is not h11.NEED_DATA, "h11 waits for more of a request that was accepted"
                return
            body = b""
            while isinstance(event := connection.next_event(), h11.Data):
                body += event.data
        except h11.RemoteProtocolError:
            return
        if not request.keep_alive and connection.their_state is h11.MIGHT_SWITCH_PROTOCOL:
            return
        assert isinstance(event, h11.EndOfMessage), "h11 waits for more of a request that was accepted"
        assert (head.method, body) == (request.method, request.body), "h11 reads another request"
        if connection.their_state is not h11.DONE or not request.keep_alive:
            return
        connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
        connection.send(h11.EndOfMessage())
        connection.start_next_cycle()
    assert refused or connection.their_state is not h11.DONE


def _answer(pieces, lenient):
    """Returns the head, the body, and whether the answer was complete before the connection closed; None if invalid."""
    reader = ResponseReader(lenient)
    events = []
    try:
        for piece in pieces:
            ended = reader.ended
            came = reader.feed(piece)
            assert not (ended and came), "there is an event after the end"
            events += came
        whole = reader.ended
        events += reader.eof()
    except BadAnswer:
        return None
    assert isinstance(events[0], Head) and isinstance(events[-1], End)
    assert all(isinstance(event, Data) for event in events[1:-1])
    assert not reader.reusable or (whole and events[0].framed)
    return attrs.astuple(events[0]), b"".join(event.data for event in events[1:-1]), whole


def _answers(data, lenient):
    data = data[:MAX_INPUT]
    answer, *others = [_answer(pieces, lenient) for pieces in cuts(data)]
    assert all(other == answer for other in others), "a cut changes what is read"
    if answer is not None:
        length = answer[0][3]
        assert length is None or len(answer[1]) == length
        assert len(answer[1]) <= len(data)


def http_answers(data):
    """Every cut gives the same answer, or none."""
    _answers(data, lenient=False)


def http_answers_lenient(data):
    """Every cut gives the same answer if badly framed answers are tolerated."""
    _answers(data, lenient=True)


def _parts(pieces, boundary):
    reader = MultipartReader(boundary)
    parts, fed = [], 0
    try:
        for piece in pieces:
            fed += len(piece)
            for event in reader.feed(piece):
                if isinstance(event, PartBegin):
                    assert not parts or parts[-1][2]
                    parts.append([event.head, b"", False])
                elif isinstance(event, PartData):
                    assert not parts[-1][2]
                    parts[-1][1] += event.data
                elif isinstance(event, PartEnd):
                    parts[-1][2] = True
                else:
                    assert isinstance(event, Closed) and reader.closed
        for event in reader.end():
            if isinstance(event, PartEnd):
                parts[-1][2] = True
    except BadMultipart:
        return None
    assert sum(len(head) + len(content) for head, content, _ in parts) <= fed
    return parts, reader.closed


def _parts_at_once(body, boundary):
    """Returns the parts as found by a simple reader that has the whole body."""
    body = b"\r\n" + body
    named = b"--" + re.escape(boundary)
    strict = rb"\r?\n" + named
    delimiter = re.compile(
        strict + b"|" + named + rb"(?=[ \t]{0,64}\r?\n(?i:content-)|--[ \t\r\n]{0,256}\Z)")
    parts = []
    found = re.compile(strict).search(body)
    while found is not None:
        if body[found.end():found.end() + 2] == b"--":
            return parts, True
        line = body.find(b"\n", found.end())
        blank = re.compile(rb"\r?\n\r?\n").search(body, line) if line >= 0 else None
        if blank is None:
            break
        found = delimiter.search(body, blank.end() - 1)
        content = body[blank.end():] if found is None else body[blank.end():max(found.start(), blank.end())]
        parts.append([body[line + 1:blank.start()], content, found is not None])
    return parts, False


def multipart(data):
    """Every cut gives the same parts as a reader that has the whole body; the first line is the Content-Type."""
    content_type, _, body = data[:2 * MAX_INPUT].partition(b"\n")
    boundary = boundary_of(content_type) or b"boundary"
    expected, closed = _parts_at_once(body, boundary)
    for pieces in cuts(body):
        read = _parts(pieces, boundary)
        if read is None:
            assert len(body) > MAX_INPUT
            continue
        parts, was_closed = read
        assert (len(parts), was_closed) == (len(expected), closed), "another number of parts"
        for (head, content, whole), (its_head, its_content, its_whole) in zip(parts, expected, strict=True):
            assert (head, whole) == (its_head, its_whole)
            # Bytes that may begin a delimiter are held back until the part has ended.
            assert content == its_content if whole else its_content.startswith(content)


def masking(data):
    """Masking keeps the length of any data, and leaves no token in data that can be parsed."""
    for secrets in (False, True):
        masks = Masks(secrets=secrets)
        for request in (False, True):
            assert len(masks.message(data, request=request)) == len(data)
        assert len(masks.message(data, request=False, coded=False)) == len(data)
        assert len(masks.content(data)) == len(data)
    try:
        parse(data)
    except Malformed:
        return
    try:
        root = parse(Masks().content(data))
    except Malformed:
        return  # the masked bytes are no letters in the encoding of the document
    for element in root.iter("{*}*"):
        if element.tag.rpartition("}")[2] in SECRETS:
            assert not "".join(element.itertext()).strip("x") and not len(element), "a secret is left"


class _InMemory:
    """A captured exchange of one side, without files."""

    scanner, side, operation, name, time, seconds, number = "front-desk", "device", "other", "1", 1e9, 0.5, 1

    def __init__(self, request, response, side="device"):
        self.side = side
        self.files = {side: {"request": request, "response": response}}

    def read(self, side, kind):
        return self.files.get(side, {}).get(kind)


def captures(data):
    """Requests and answers in turn, separated by a line, are exported as HAR, read as a recording, and replayed."""
    messages = data.split(b"\n%%\n")
    captured = [_InMemory(messages[at], messages[at + 1] if at + 1 < len(messages) else None, side)
                for at in range(0, len(messages), 2) for side in ("device", "event")]
    for one in captured:
        json.dumps(har_entry(one, one.side))
        for kind in ("request", "response"):
            message = read_message(one.read(one.side, kind) or b"", request=kind == "request")
            assert 0 <= message.status <= 999 and message.envelope is not None
    try:
        recording = read_recording(captured, None)
    except CaptureError:
        return
    script = Script(recording)
    for exchange in recording.exchanges * 2:
        try:
            played = script.answer(exchange.operation, exchange.job_id, exchange.asked)
        except Refused:
            continue
        assert played.exchange in recording.exchanges
        _check_replayed(played, recording)
    script.without_anchor()


def _check_replayed(played, recording):
    """Checks the answer for a client of the replayed recording, if no pages need to be drawn for it."""
    answer = played.exchange.answer()
    if any(part.left_out is not None for part in answer.parts):
        return
    try:
        body = answer_body(answer, message_id="urn:uuid:1", relates_to=None, hosts=recording.hosts, base="http://here:1",
                           jobs=played.jobs)
    except Malformed:
        return
    boundary = boundary_of(answer.field(b"content-type"))
    if boundary is not None and answer.parts:
        parts, closed = _parts([body], boundary)
        assert closed and len(parts) >= len(answer.parts)
    else:
        parse(body)


def sieve(data):
    """No cut changes whether an answer carries images, or what is kept of it, unless the answer is incomplete."""
    data = data[:MAX_INPUT]
    kept = []
    for pieces in cuts(data):
        one = Sieve()
        for piece in pieces:
            one.feed(piece)
        kept.append(one.kept())
        assert one.leaves_out or kept[-1] == data
    # How much of a broken answer is read depends on the pieces in which it came.
    assert any(b", broken off>" in one for one in kept) or kept[1:] == kept[:-1], "a cut changes what is kept"
    read_message(kept[0], request=False)


def dns_messages(data):
    """A message is refused or read, is the same after it was written, and does no harm to a responder."""
    try:
        message = dns.read_message(data)
    except dns.BadMessage:
        return
    written = dns.write_message(message)
    if len(written) <= dns.MAX_MESSAGE:
        assert dns.read_message(written) == message
    nothing = lambda *what: None  # noqa: E731
    responder = Responder("wsdgw-1.local", lambda: 0.5, on_name=nothing, on_conflict=nothing)
    responder.set_addresses(0.0, (ip_address("192.0.2.5"), ip_address("fe80::5")))
    responder.announce(0.0, ScannerService("a", "Front Desk", 8400, "Canon", "u"))
    others = Others(0.0, lambda host: False, lambda: 0.5)
    for now in (0.2, 20.0):
        responder.advance(now)
        for port in (5353, 40000):
            for packet in responder.receive(now, 4, "192.0.2.77", port, message):
                dns.read_message(dns.write_message(packet.message))
        others.receive(now, message)
        for question in others.advance(now):
            dns.read_message(dns.write_message(question))
        assert all(isinstance(one.uuid, str) for one in others.scanners)
