"""Tests of net.repeatedrequests: repeated reads get the answer that they would get if they were read in full.

Two gateways get the same bytes, and only one of them has the fast path. Answers, connections, metrics, log and requests
to the scanner must be equal.
"""

import itertools
import random
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.messages import SCAN, envelope, get_job_elements, get_scanner_elements
from tests.net.repeating import RepeatingGateway
from tests.net.server import http_cases_connection, http_cases_framing, http_cases_syntax
from tests.options import scanner_options
from wsdgateway.bridge.access.permission import Rule
from wsdgateway.net.repeatedrequests import RepeatedRequests

CLIENT, OTHER, DENIED = "192.0.2.1", "192.0.2.2", "203.0.113.66"
FIELDS = b"Host: gateway.test:5357\r\nContent-Type: application/soap+xml\r\n"
IDS = [f"urn:uuid:00000000-0000-4000-8000-{number:012x}" for number in range(8)]


def http(body, *, fields=FIELDS, version=b"1.1", path=b"/front-desk/scan"):
    return b"POST %s HTTP/%s\r\n%sContent-Length: %d\r\n\r\n%s" % (path, version, fields, len(body), body)


STATUS = http(get_job_elements(message_id=IDS[0]))
REPEATED = http(get_job_elements(message_id=IDS[1]))
LAST = http(get_job_elements(message_id=IDS[0]), fields=FIELDS + b"Connection: close\r\n")
OLD = http(get_job_elements(message_id=IDS[0]), version=b"1.0")
OLD_KEPT = http(get_job_elements(message_id=IDS[0]), fields=FIELDS + b"Connection: keep-alive\r\n", version=b"1.0")
ELEMENTS = http(get_scanner_elements("wscn:ScannerStatus", message_id=IDS[0]))
CHUNKED = b"POST /front-desk/scan HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
    FIELDS, len(get_job_elements()), get_job_elements())
VALIDATE = http(envelope(f"{SCAN}/ValidateScanTicket", "<wscn:ValidateScanTicketRequest/>", message_id=IDS[0]))
VENDOR = http(envelope("urn:vendor:Blink", '<v:Blink xmlns:v="urn:vendor"/>', message_id=IDS[0]))
KNOWN = [STATUS, LAST, OLD, OLD_KEPT, ELEMENTS, VALIDATE, VENDOR, http(get_job_elements("2", message_id=IDS[0])),
         http(get_job_elements(names=("wscn:JobStatus", "wscn:ScanTicket"), message_id=IDS[0]))]


class Pair:
    """The gateway with the fast path and the one without it. Both know the requests in `KNOWN`."""

    def __init__(self, known=KNOWN):
        self.fast, self.full = self.both = [RepeatingGateway(fast=fast) for fast in (True, False)]
        for raw in known:
            for _ in range(3):
                self.send(CLIENT, raw)

    def send(self, client, *pieces):
        """Sends the pieces to both, checks that the answers are equal, and returns them."""
        received, expected = ((gateway.send(client, *pieces), gateway.is_connected(client)) for gateway in self.both)
        assert received == expected
        return received[0]

    def do(self, action):
        for gateway in self.both:
            action(gateway)

    def check(self):
        """Checks that both have recorded the same."""
        recorded, expected = (gateway.records() for gateway in self.both)
        assert recorded == expected


@pytest.fixture
def pair():
    return Pair()


@pytest.fixture
def served(monkeypatch):
    """The bytes of the requests that the fast path has answered."""
    requests, answer = [], RepeatedRequests.serve

    def answering(repeats, raw, *arguments):
        found = answer(repeats, raw, *arguments)
        if found is not None:
            requests.append(raw)
        return found

    monkeypatch.setattr(RepeatedRequests, "serve", answering)
    return requests


def test_a_repetition_is_answered_at_once(served):
    pair = Pair([STATUS])
    del served[:]
    answer = pair.send(OTHER, REPEATED)
    assert served == [REPEATED]
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"<wsa:RelatesTo>{IDS[1]}<".encode() in answer
    pair.check()


@pytest.mark.parametrize("known", KNOWN)
def test_each_kind_of_read_is_answered_at_once_when_it_is_repeated(served, known):
    pair = Pair([known])
    del served[:]
    again = known.replace(IDS[0].encode(), IDS[1].encode())
    pair.send(OTHER, again)
    pair.check()
    assert served == ([] if b"wscn:ScanTicket" in known else [again])  # the table has no ScanTicket


def test_a_request_in_two_pieces_is_answered_at_once(served, pair):
    del served[:]
    head = REPEATED.index(b"\r\n\r\n") + 4
    pair.send(CLIENT, REPEATED[:head], REPEATED[head:])
    pair.send(CLIENT, REPEATED[:head], REPEATED[head:head + 9], REPEATED[head + 9:])
    assert served == [REPEATED, REPEATED]
    pair.check()


@pytest.mark.parametrize("raw", [STATUS, LAST, ELEMENTS, VALIDATE])
def test_requests_that_are_split_anywhere(pair, raw):
    for at in range(1, len(raw)):
        pair.send(CLIENT, raw[:at], raw[at:])
    pair.send(CLIENT, *(raw[at:at + 1] for at in range(len(raw))))
    pair.check()


@pytest.mark.parametrize("raw", [STATUS, LAST, ELEMENTS])
def test_requests_that_break_off_anywhere(pair, raw):
    for at in range(len(raw)):
        pair.send(CLIENT, raw[:at])
        pair.do(lambda gateway: gateway.close(CLIENT))
    pair.check()


@pytest.mark.parametrize("raw", [STATUS, LAST, ELEMENTS, VALIDATE])
def test_requests_that_are_changed_anywhere(pair, raw):
    changes = random.Random(16)
    for at in range(len(raw)):
        for changed in (raw[:at] + raw[at + 1:],
                        raw[:at] + bytes([changes.randrange(256)]) + raw[at + 1:],
                        raw[:at] + bytes([raw[at] ^ 1 << changes.randrange(8)]) + raw[at + 1:],
                        raw[:at] + changes.choice((b"\r\n", b"<", b"&", b"'", b"\x00", b" ", b"1")) + raw[at:]):
            pair.send(CLIENT, changed)
            pair.do(lambda gateway: gateway.close(CLIENT))
            pair.send(OTHER, STATUS)
    pair.check()


@pytest.mark.parametrize("raw", [
    pytest.param(CHUNKED, id="chunked"),
    pytest.param(b"\r\n" + STATUS, id="after an empty line"),
    pytest.param(http(get_job_elements(), fields=FIELDS + b"Expect: 100-continue\r\n"), id="Expect"),
    pytest.param(http(get_job_elements(message_id=None)), id="no MessageID"),
    pytest.param(http(get_job_elements(), fields=FIELDS + b"X-Long: " + b"x" * 8000 + b"\r\n"), id="long"),
])
def test_other_requests_are_always_read_in_full(served, raw):
    pair = Pair([raw])
    pair.send(CLIENT, raw)
    head = raw.index(b"\r\n\r\n") + 4
    pair.send(CLIENT, raw[:head])
    pair.send(CLIENT, raw[head:])
    assert served == []
    pair.check()


def test_without_a_cache_the_scanner_is_asked_each_time(served):
    pair = Pair([ELEMENTS])
    del served[:]
    options = scanner_options("front-desk", max_age=30.0, poll_interval=1.0, history=5, cache=False)
    pair.do(lambda gateway: gateway.bridge.adjust(options))
    pair.send(CLIENT, ELEMENTS)
    assert served == []
    pair.check()


CASES = http_cases_framing.CASES + http_cases_syntax.CASES + http_cases_connection.CASES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_hostile_requests_beside_known_ones(case):
    pair = Pair([STATUS])
    for pieces in ((case.data,), (STATUS, case.data, REPEATED), (STATUS + case.data,), (case.data + STATUS,),
                   (STATUS[:-40], case.data), (STATUS[:STATUS.index(b"<")], case.data, STATUS)):
        pair.send(CLIENT, *pieces)
        pair.do(lambda gateway: gateway.close(CLIENT))
    pair.check()


def test_a_forwarded_request_is_sent_with_its_own_id(served, pair):
    del served[:]
    again = VALIDATE.replace(IDS[0].encode(), IDS[3].encode())
    pair.send(OTHER, again)
    assert served == [again]
    operation, body = pair.fast.scanner.asked[-1]
    assert operation == "ValidateScanTicket"
    assert body.count(IDS[3].encode()) == 1
    assert IDS[0].encode() not in body
    assert b"<wsa:To>http://192.0.2.1/scan<" in body
    pair.check()


def test_a_forwarded_request_of_a_client_that_may_not_send_it_is_refused(pair):
    pair.do(lambda gateway: gateway.permission.change([Rule(operations=("ValidateScanTicket",), deny=True)]))
    assert b" 403 " in pair.send(CLIENT, VALIDATE)
    pair.check()


@pytest.mark.parametrize("first", [
    b"GET /front-desk/scan HTTP/1.1\r\nHost: gateway\r\n\r\n", VALIDATE, STATUS, http(b"nonsense"),
    b"POST /front-desk/scan HTTP/1.1\r\nHost: gateway\r\nContent-Length: 0\r\n\r\n"])
def test_a_request_that_begins_in_the_read_of_the_one_before_is_not_learnt_with_its_bytes(first):
    pair = Pair([])
    second = http(get_job_elements(message_id=IDS[5]))
    for at in (1, 40, len(second) - 200, len(second) - 1):
        for _ in range(2):
            pair.send(CLIENT, first + second[:at], second[at:])
        for _ in range(2):
            assert pair.send(CLIENT, first + second).count(b"HTTP/1.1 ") == 2
    pair.check()


@pytest.mark.parametrize("before", [VALIDATE, http(b""), b"POST / HTTP/1.1\r\nHost: gateway\r\n\r\n"])
def test_only_a_single_request_is_learnt_whatever_its_bytes_are_said_to_be(monkeypatch, before):
    learn = RepeatedRequests.learn
    monkeypatch.setattr(RepeatedRequests, "learn", lambda repeats, exchange, *arguments: learn(
        repeats, SimpleNamespace(raw=before + exchange.raw, request=exchange.request), *arguments))
    pair = Pair([STATUS])
    assert pair.send(OTHER, before + STATUS).count(b"HTTP/1.1 ") == 2
    pair.check()


def test_a_client_that_waits_for_100_continue_always_gets_it(served):
    waiting = http(get_job_elements(message_id=IDS[0]), fields=FIELDS + b"Expect: 100-continue\r\n")
    head = waiting.index(b"\r\n\r\n") + 4
    pair = Pair([])
    for _ in range(3):
        assert pair.send(CLIENT, waiting[:head]) == b"HTTP/1.1 100 Continue\r\n\r\n"
        pair.send(CLIENT, waiting[head:])
    assert served == []
    pair.check()


def test_a_smaller_limit_of_the_body_applies_to_known_requests(pair):
    pair.do(lambda gateway: gateway.limit_bodies(600))
    assert b" 413 " in pair.send(OTHER, STATUS)
    pair.check()


def test_pipelined_requests_are_answered_in_order(pair):
    answer = pair.send(CLIENT, STATUS + REPEATED + ELEMENTS)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
    pair.send(CLIENT, REPEATED[:50], REPEATED[50:] + STATUS, ELEMENTS)
    pair.check()


def test_a_status_that_changes_is_answered_with_the_new_one(pair):
    pair.do(lambda gateway: gateway.announce("1", "Completed"))
    assert b"<wscn:JobState>Completed<" in pair.send(CLIENT, REPEATED)
    pair.check()


def test_a_status_that_is_too_old_is_asked_of_the_scanner(pair):
    pair.do(lambda gateway: setattr(gateway, "now", gateway.now + 31.0))
    pair.send(CLIENT, REPEATED)
    assert pair.fast.scanner.asked[-1][0] == "GetJobElements"
    pair.check()


def test_an_answer_that_is_too_old_is_asked_of_the_scanner(pair):
    asked = len(pair.fast.scanner.asked)
    pair.do(lambda gateway: setattr(gateway, "now", gateway.now + 1000.0))
    pair.send(CLIENT, ELEMENTS)
    assert len(pair.fast.scanner.asked) == asked + 1
    pair.check()


def test_rules_apply_to_each_repetition(pair):
    pair.do(lambda gateway: gateway.permission.change([Rule(operations=("GetScannerElements",)), Rule(deny=True)]))
    assert b" 403 " in pair.send(CLIENT, REPEATED)
    assert b" 200 " in pair.send(CLIENT, ELEMENTS)
    pair.check()


def test_quotas_apply_to_each_repetition(pair):
    pair.do(lambda gateway: gateway.quotas.change(requests=4.0, connections=1000, jobs=5, unlimited=()))
    statuses = [pair.send(CLIENT, REPEATED)[9:12] for _ in range(8)]
    assert statuses == [b"200"] * 4 + [b"429"] * 4
    assert pair.send(OTHER, REPEATED)[9:12] == b"200"
    pair.check()


def test_a_scanner_whose_address_changes_is_answered_in_the_usual_way_once(served, pair):
    del served[:]
    pair.do(lambda gateway: setattr(gateway.bridge, "device", "http://192.0.2.9/scan"))
    pair.send(CLIENT, REPEATED)
    assert served == []
    pair.send(CLIENT, REPEATED)
    assert served == [REPEATED]
    pair.do(lambda gateway: setattr(gateway.bridge, "endpoints", ("urn:uuid:stand-in", None)))
    pair.send(CLIENT, REPEATED)
    assert served == [REPEATED]
    pair.do(lambda gateway: setattr(gateway.bridge, "device", None))
    pair.send(CLIENT, REPEATED)
    assert served == [REPEATED]
    pair.check()


def test_nothing_is_known_after_the_addresses_of_scanners_change(served, pair):
    del served[:]
    pair.do(lambda gateway: gateway.repeats.clear())
    pair.send(CLIENT, REPEATED)
    assert served == []


def test_captured_exchanges_are_read_in_full(served, pair):
    del served[:]
    pair.fast.log.captures = SimpleNamespace(begin=lambda: None)
    pair.fast.send(CLIENT, REPEATED)
    assert served == []


def test_people_are_named_if_the_log_is_to_name_them(pair):
    pair.do(lambda gateway: setattr(gateway.log, "identify", True))
    named = get_job_elements(message_id=IDS[0]).replace(
        b"<wscn:JobId>", b"<wscn:JobOriginatingUserName>alice</wscn:JobOriginatingUserName><wscn:JobId>")
    for _ in range(3):
        pair.send(CLIENT, http(named))
    pair.check()


PIECES = st.sampled_from(KNOWN).flatmap(lambda raw: st.builds(
    lambda message_id, cuts: [
        raw.replace(IDS[0].encode(), message_id.encode())[start:end]
        for start, end in itertools.pairwise([0, *sorted(cuts), len(raw)])],
    st.sampled_from([*IDS, "urn:uuid:short", "urn:uuid:00000000-0000-4000-8000-00000000000<", IDS[0].upper()]),
    st.lists(st.integers(1, len(raw) - 1), max_size=3, unique=True)))
ACTIONS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from([CLIENT, OTHER, DENIED]), PIECES),
    st.tuples(st.just("pipeline"), st.sampled_from([CLIENT, OTHER]), st.lists(st.sampled_from(KNOWN), max_size=4)),
    st.tuples(st.just("announce"), st.sampled_from("12"), st.sampled_from(["Processing", "Completed", "Canceled"])),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 1.5, 31.0, 1000.0]), st.just(None)),
    st.tuples(st.just("close"), st.sampled_from([CLIENT, OTHER]), st.just(None)),
    st.tuples(st.just("rules"), st.sampled_from([(), (Rule(deny=True),), (Rule(operations=("GetJobElements",)),)]),
              st.just(None)),
    st.tuples(st.just("quota"), st.sampled_from([2.0, 1000.0]), st.just(None)),
    st.tuples(st.just("address"), st.sampled_from([None, "http://192.0.2.1/scan", "http://192.0.2.9/scan"]),
              st.just(None)),
    st.tuples(st.just("fail"), st.booleans(), st.just(None)),
    st.tuples(st.just("reboot"), st.just(None), st.just(None)))


def act(pair, action, which, more):
    if action == "send":
        pair.send(which, *more)
    elif action == "pipeline":
        pair.send(which, b"".join(more))
    elif action == "announce":
        pair.do(lambda gateway: gateway.announce(which, more))
    elif action == "wait":
        pair.do(lambda gateway: setattr(gateway, "now", gateway.now + which))
    elif action == "close":
        pair.do(lambda gateway: gateway.close(which))
    elif action == "rules":
        pair.do(lambda gateway: gateway.permission.change(which))
    elif action == "quota":
        pair.do(lambda gateway: gateway.quotas.change(requests=which, connections=1000, jobs=5, unlimited=()))
    elif action == "address":
        pair.do(lambda gateway: setattr(gateway.bridge, "device", which))
    elif action == "fail":
        pair.do(lambda gateway: setattr(gateway.scanner, "fails", which))
    else:
        pair.do(lambda gateway: gateway.bridge.rebooted())


@settings(max_examples=150)
@given(st.lists(ACTIONS, max_size=25))
@example([("send", CLIENT, [STATUS]), ("address", None, None), ("send", CLIENT, [STATUS]), ("reboot", None, None),
          ("send", OTHER, [REPEATED])])
def test_sequences_of_requests_and_changes(actions):
    pair = Pair()
    for action in actions:
        act(pair, *action)
    pair.check()
