"""Tests of cli.tail: the lines, filters and reconnections of `wsdgateway tail`."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from wsdgateway.cli.adminclient import AdminError, AdminSite
from wsdgateway.cli.tail import ServerSentEvent, Wanted, check_scanner, read_events, show, tail

EXCHANGE = {"number": 7, "time": "2026-11-22T10:34:11.123Z", "scanner": "front-desk", "client": "192.0.2.77:50122",
            "operation": "GetJobElements", "job_id": "253", "source": "local", "status": 200, "fault": None,
            "request_bytes": 812, "response_bytes": 1390, "seconds": 0.0004}


def test_events_of_a_stream():
    lines = (b"retry: 2000\n", b"\n", b": hello\n", b"\n", b"id: a-1\n", b"event: exchange\r\n", b"data:{\n",
             b"data: }\n", b"\n", b"data: x\n", b"\n", b"event: y\n", b"\n", b"data: cut off\n")
    assert list(read_events(lines)) == [ServerSentEvent("a-1", "exchange", "{\n}"),
                                        ServerSentEvent("a-1", "message", "x")]


@given(st.lists(st.binary(max_size=50)))
def test_no_stream_raises_an_error(lines):
    list(read_events(lines))


def test_a_line():
    text = show(EXCHANGE).plain
    assert text.split() == ["10:34:11.123", "front-desk", "local", "GetJobElements", "200", "192.0.2.77:50122", "0.4",
                            "ms", "job", "253", "812/1390", "B"]
    failed = show({**EXCHANGE, "fault": "InvalidArgs", "status": 400, "scanner": None, "client": None}).plain
    assert "InvalidArgs" in failed and "this gateway" in failed
    assert "no answer" in show({**EXCHANGE, "status": None}).plain
    assert "\x1b" not in show({**EXCHANGE, "operation": "\x1b[31mred", "job_id": "\n\x07"}).plain
    assert show({}).plain


@pytest.mark.parametrize(("wanted", "holds"), [
    (Wanted(), True), (Wanted("front-desk"), True), (Wanted("other"), False),
    (Wanted(operation="GetJobElements"), True),
    (Wanted(operation="X"), False), (Wanted(failed=True), False)])
def test_filters(wanted, holds):
    assert wanted.holds(EXCHANGE) is holds


@pytest.mark.parametrize("how", [{"status": 500}, {"fault": "X"}, {"status": None}])
def test_failed_exchanges(how):
    assert Wanted(failed=True).holds({**EXCHANGE, **how})
    assert not Wanted(failed=True).holds({**EXCHANGE, "status": None, "source": "discovery"})


class Answer:
    """An answer of the admin site."""

    def __init__(self, text, kind="text/event-stream"):
        self._file = io.BytesIO(text.encode())
        self.headers = self
        self._kind = kind

    def get_content_type(self):
        return self._kind

    def readline(self, most):
        return self._file.readline(most)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Does nothing, since there is nothing to close."""


def event(value, number=1, kind="exchange"):
    return f"id: i-{number}\nevent: {kind}\ndata: {json.dumps(value)}\n\n"


def run(monkeypatch, answers, **options):
    """Returns the printed lines, the messages, and the headers of the requests for each stream."""
    asked, said = [], []

    def open_site(site, path, headers, timeout):
        asked.append(headers)
        if not answers:
            raise KeyboardInterrupt
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(AdminSite, "open", open_site)
    console = Console(file=io.StringIO(), width=200)
    with pytest.raises(KeyboardInterrupt):
        tail(AdminSite("http://x"), options.pop("wanted", Wanted()), as_json=options.pop("as_json", False), last=5,
             console=console, say=said.append, sleep=lambda seconds: None)
    return console.file.getvalue().splitlines(), said, asked


def test_a_lost_stream_is_reported_and_reopened(monkeypatch):
    lines, said, asked = run(monkeypatch, [
        Answer(event(EXCHANGE, 1)), AdminError("gone"), Answer(event({"count": 3}, 2, "missed") + event(EXCHANGE, 9))])
    assert len(lines) == 2
    assert asked == [{}, {"Last-Event-ID": "i-1"}, {"Last-Event-ID": "i-1"}, {"Last-Event-ID": "i-9"}]
    assert any("gone" in line for line in said) and any("3 exchanges" in line for line in said)


@pytest.mark.parametrize("data", ["1", "[]", "[" * 100000, "null", '"x"', '{"seconds": "x"}', '{"fault": {}}',
                                  '{"time": 1, "status": []}'])
@pytest.mark.parametrize("kind", ["exchange", "missed"])
def test_unexpected_events_do_not_end_the_stream(monkeypatch, data, kind):
    lines, _, _ = run(monkeypatch, [Answer(f"event: {kind}\ndata: {data}\n\n{event(EXCHANGE)}")])
    assert "GetJobElements" in lines[-1]


def test_json_lines_and_filters(monkeypatch):
    text = event(EXCHANGE) + event({**EXCHANGE, "scanner": "other"}) + "event: exchange\ndata: {broken\n\n"
    lines, _, _ = run(monkeypatch, [Answer(text)], as_json=True, wanted=Wanted("front-desk"))
    assert [json.loads(line) for line in lines] == [EXCHANGE]


@pytest.mark.parametrize(("wanted", "query"), [
    (Wanted(), "last=5"), (Wanted("a&b"), "last=5&scanner=a%26b"),
    (Wanted("a", "CreateScanJob", True), "last=5&scanner=a&operation=CreateScanJob&failed=1")])
def test_the_site_is_told_which_exchanges_count(monkeypatch, wanted, query):
    asked = []

    def open_site(site, path, headers, timeout):
        asked.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(AdminSite, "open", open_site)
    with pytest.raises(KeyboardInterrupt):
        tail(AdminSite("http://x"), wanted, as_json=False, last=5, console=Console(file=io.StringIO()), say=print)
    assert asked == [f"/api/stream?{query}"]


def test_a_url_that_is_no_admin_site_is_an_error(monkeypatch):
    monkeypatch.setattr(AdminSite, "open", lambda *_, **__: Answer("<html>", "text/html"))
    with pytest.raises(AdminError, match="not the admin site"):
        tail(AdminSite("http://x"), Wanted(), as_json=False, last=1, console=Console(file=io.StringIO()), say=print)


@pytest.mark.parametrize(("known", "message"), [
    (["cellar", "front-desk"], "--scanner frontdesk: must be a scanner of the gateway: cellar, front-desk"),
    ([], "--scanner frontdesk: must be left out, because the gateway has no scanner")])
def test_an_unknown_scanner_is_an_error_that_names_the_known_ones(monkeypatch, known, message):
    monkeypatch.setattr(AdminSite, "fetch", lambda site, what: [{"name": name} for name in known])
    with pytest.raises(AdminError) as caught:
        check_scanner(AdminSite("http://x"), "frontdesk")
    assert str(caught.value) == message


def test_a_known_scanner_and_none_are_accepted(monkeypatch):
    monkeypatch.setattr(AdminSite, "fetch", lambda site, what: [{"name": "cellar"}])
    check_scanner(AdminSite("http://x"), "cellar")
    check_scanner(AdminSite("http://x"), None)
