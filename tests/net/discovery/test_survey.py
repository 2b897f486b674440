"""Tests of net.discovery.survey: which answer of a device counts."""

import itertools

import pytest

from wsdgateway.bridge.discovery.sightings import MAX_SIGHTINGS, Sighting
from wsdgateway.net.discovery.survey import Answers

ENDPOINT = "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"
LOCAL, SIX, FOUR = "http://[fe80::1]:5357/a", "http://[2001:db8::1]:5357/a", "http://192.0.2.5:5357/a"


def sighting(*xaddrs, endpoint=ENDPOINT):
    return Sighting(endpoint, (), (), xaddrs, 1, None, "eth0", 0.0)


@pytest.mark.parametrize("order", list(itertools.permutations([(LOCAL,), (FOUR,), (LOCAL,)])))
def test_an_address_beyond_the_link_counts_in_any_order(order):
    answers = Answers()
    for xaddrs in order:
        answers.hear(sighting(*xaddrs))
    assert answers.best(sighting(LOCAL)).xaddrs == (FOUR,)


@pytest.mark.parametrize(("heard", "best"), [
    ([(FOUR,), (SIX,)], (SIX,)), ([(FOUR,), (LOCAL, SIX), (LOCAL,)], (LOCAL, SIX)),
    ([(FOUR,), ("ftp://x", "http://[", "")], (FOUR,)), ([("ftp://x",), (LOCAL,)], (LOCAL,)),
    ([(LOCAL,), ("http://[fe80::2]/",)], ("http://[fe80::2]/",)), ([], ("http://192.0.2.9/",))])
def test_otherwise_the_latest_answer_counts(heard, best):
    answers = Answers()
    for xaddrs in heard:
        answers.hear(sighting(*xaddrs))
    assert answers.best(sighting("http://192.0.2.9/", endpoint=ENDPOINT.upper())).xaddrs == best


def test_the_number_of_answers_is_bounded():
    answers = Answers()
    for number in range(MAX_SIGHTINGS + 1):
        answers.hear(sighting(FOUR, endpoint=f"urn:x:{number}"))
    assert answers.best(sighting(LOCAL, endpoint="urn:x:0")).xaddrs == (LOCAL,)
    assert answers.best(sighting(LOCAL, endpoint="urn:x:1")).xaddrs == (FOUR,)
