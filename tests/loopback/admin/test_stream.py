"""Live stream of the admin site."""

import json

import pytest
import pytest_twisted
from twisted.internet.task import deferLater

from tests.loopback.clients import request
from tests.loopback.gateways import PATH, TOKEN, with_token
from tests.messages import get_job_elements
from tests.peers import ask, connect
from tests.waiting import until
from wsdgateway.admin import stream as stream_module
from wsdgateway.admin.stream import MAX_STREAMS
from wsdgateway.exchangelog.entry import Entry
from wsdgateway.exchangelog.log import KEPT


class Listening:
    """Client of the stream."""

    def __init__(self, client):
        self.client = client

    def events(self):
        """Returns type, id and value of each complete event received."""
        _, _, body = self.client.received.partition(b"\r\n\r\n")
        text = b"".join(body.split(b"\r\n")[1::2]).decode() if b"chunked" in self.client.received else body.decode()
        found = []
        for block in text.split("\n\n")[:-1]:
            fields = dict(line.partition(": ")[::2] for line in block.splitlines())
            if "data" in fields:
                found.append((fields.get("event"), fields.get("id"), json.loads(fields["data"])))
        return found


async def listen(port, *, query=b"", headers=b""):
    client = await connect(port)
    client.send(b"GET /api/stream" + query + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers + b"\r\n")
    await client.until(lambda data: b"retry:" in data)
    return Listening(client)


@pytest_twisted.ensureDeferred
async def test_the_stream_reports_exchanges_and_resumes_after_a_reconnect(gateway_with_job):
    service = await gateway_with_job()
    first = await listen(service.admin_port)
    await ask(service.port, PATH, b"no xml")
    await until(first.events)
    (kind, identifier, value), = first.events()
    assert kind == "exchange" and value["fault"] == "InvalidArgs" and value["number"] == service.recording.log.last
    first.client.transport.abortConnection()
    await first.client.end()
    await ask(service.port, PATH, get_job_elements("5"))
    again = await listen(service.admin_port, headers=b"Last-Event-ID: " + identifier.encode() + b"\r\n")
    await until(again.events)
    assert [value["operation"] for _, _, value in again.events()] == ["GetJobElements"]
    from_before = await listen(service.admin_port, headers=b"Last-Event-ID: 00000000-7\r\n")
    await until(lambda: len(from_before.events()) == service.recording.log.last)
    last = await listen(service.admin_port, query=b"?last=1")
    await until(last.events)
    assert last.events()[0][2]["number"] == service.recording.log.last
    for other in (again, from_before, last):
        other.client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_the_last_exchanges_are_counted_after_the_filter(gateway_with_job):
    service = await gateway_with_job()
    await ask(service.port, PATH, b"no xml")
    refused = service.recording.log.last
    for _ in range(3):
        await ask(service.port, PATH, get_job_elements("&lt;script&gt;7"))
    for query, first in (
            (b"last=1", refused + 3), (b"last=1&failed=1", refused), (b"last=2&scanner=front-desk", refused + 2),
            (b"last=2&operation=GetJobElements", refused + 2), (b"last=x&failed=1", None),
            (b"last=9&scanner=nobody", None)):
        following = await listen(service.admin_port, query=b"?" + query)
        if first is None:  # it begins with the next one
            first = service.recording.log.last + 1
            await ask(service.port, PATH, get_job_elements("5"))
        await until(following.events)
        assert following.events()[0][2]["number"] == first, query
        following.client.transport.abortConnection()
        await following.client.end()


@pytest_twisted.ensureDeferred
async def test_the_stream_reports_how_many_exchanges_were_missed(gateway_with_job):
    service = await gateway_with_job()
    listening = await listen(service.admin_port)
    entry = service.recording.log.since(0)[-1].entry
    for _ in range(KEPT + 100):
        service.recording.log.add(entry)
    await until(lambda: len(listening.events()) > 500)
    assert listening.events()[0] == ("missed", None, {"count": 100})
    listening.client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_changing_the_token_ends_the_stream(gateway):
    service = await gateway(None, **with_token())
    listening = await listen(service.admin_port, headers=b"Authorization: Bearer %s\r\n" % TOKEN.encode())
    service.site.access.change("another token of ours", ())
    await listening.client.until(lambda data: data.endswith(b"0\r\n\r\n"))
    listening.client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_a_viewer_that_does_not_read_is_disconnected(gateway, monkeypatch):
    monkeypatch.setattr(stream_module, "STALLED_SECONDS", 0.5)
    monkeypatch.setattr(stream_module, "LOOK_SECONDS", 0.02)
    service = await gateway(None)
    listening = await listen(service.admin_port)
    listening.client.transport.pauseProducing()
    entry = Entry(0.0, None, None, "x" * 1000, "x" * 1000, None, None, "own", 200, None, 0, 0, 0.0)
    for _ in range(100):
        for _ in range(100):
            service.recording.log.add(entry)
        await deferLater(service.reactor, 0.02)
        if not service.site.stream.listening:
            break
    assert not service.site.stream.listening
    listening.client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_the_number_of_viewers_is_limited_and_a_stop_ends_their_streams(gateway):
    service = await gateway(None)
    listening = [await listen(service.admin_port) for _ in range(MAX_STREAMS)]
    status, _, _ = await request(service.admin_port, b"/api/stream")
    assert status == 503
    await service.stopService()
    for one in listening:
        await one.client.until(lambda data: data.endswith(b"0\r\n\r\n"))
        one.client.transport.abortConnection()


@pytest.mark.parametrize("identifier", [b"x", b"-", b"5-", b"a-99999999999999999999999", b"\xff-1", b"00000000--1"])
@pytest_twisted.ensureDeferred
async def test_an_invalid_last_event_id_is_ignored(gateway, identifier):
    service = await gateway(None)
    listening = await listen(service.admin_port, headers=b"Last-Event-ID: " + identifier + b"\r\n")
    await ask(service.port, "/nowhere", b"")
    await until(listening.events)
    assert listening.events()[-1][2]["status"] == 404
    listening.client.transport.abortConnection()
