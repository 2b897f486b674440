"""Tests of bridge.cache.repeats: which bytes repeat a request, which are the beginning of one, and the bound."""

from wsdgateway.bridge.cache import repeats
from wsdgateway.bridge.cache.repeats import Repeats
from wsdgateway.soap.skeleton import split

HEAD = b"POST /scan HTTP/1.1\r\nContent-Length: 40\r\n\r\n"


def request(message_id=b"id-1", job=b"1", head=HEAD):
    return head + b"<a:MessageID>" + message_id + b"</a:MessageID><b>" + job + b"</b>"


def knowing(*raws):
    known = Repeats()
    for raw in raws:
        known.learn(split(raw)[0], len(raw), raw)
    return known


def test_a_repetition_is_found_with_its_own_id():
    known = knowing(request(b"id-1"))
    assert known.find(request(b"id-2")) == (request(b"id-1"), b"id-2")


def test_other_requests_are_not_found():
    known = knowing(request())
    for raw in (request(job=b"2"), request(b"id-10"), request(b"id<1"), request(b"id&1"), request(b"id 1"),
                request(b""), request() + b" ", request()[:-1], request() + request(), b"\r\n" + request(), b"",
                b"MessageID>", request(head=HEAD.replace(b"scan", b"Scan"))):
        assert known.find(raw) is None, raw


def test_the_beginning_of_a_known_request_is_partial():
    known = knowing(request())
    raw = request(b"id-9")
    partial = [length for length in range(len(raw) + 1) if known.is_partial(raw[:length])]
    assert partial == list(range(len(HEAD), len(raw)))
    assert not known.is_partial(raw + b" ")
    assert not known.is_partial(raw.replace(b"/scan", b"/Scan")[:-1])


def test_the_request_that_was_repeated_least_recently_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(repeats, "MAX_REPEATS", 2)
    known = knowing(request(job=b"1"), request(job=b"2"))
    assert known.find(request(job=b"1")) is not None
    known.learn(split(request(job=b"3"))[0], len(request()), "3")
    assert len(known) == 2
    assert [job for job in (b"1", b"2", b"3") if known.find(request(job=job))] == [b"1", b"3"]


def test_heads_are_bounded(monkeypatch):
    monkeypatch.setattr(repeats, "MAX_REPEATS", 2)
    raws = [request(head=b"POST /%d HTTP/1.1\r\n\r\n" % number) for number in range(5)]
    known = knowing(*raws)
    assert [raw for raw in raws if known.is_partial(raw[:-1])] == raws[-1:]


def test_a_request_that_is_learnt_again_takes_the_place_of_the_first():
    known = knowing(request())
    known.learn(split(request())[0], len(request()), "again")
    assert len(known) == 1
    assert known.find(request()) == ("again", b"id-1")


def test_nothing_is_known_after_it_is_cleared():
    known = knowing(request())
    known.clear()
    assert len(known) == 0
    assert known.find(request()) is None
    assert not known.is_partial(request()[:-1])


def test_the_tags_in_all_requests_together_are_bounded(monkeypatch):
    monkeypatch.setattr(repeats, "MAX_TAGS", 3 * 4)
    raws = [request(job=b"%d" % number) for number in range(5)]
    assert raws[0].count(b"<") - 1 == 3  # one is between the parts of the skeleton
    known = knowing(*raws, raws[4])
    assert [known.find(raw) is not None for raw in raws] == [False, True, True, True, True]
    known.clear()
    known.learn(split(raws[0])[0], len(raws[0]), None)
    assert len(known) == 1
