"""Tests of tokenbucket: a single token bucket, and one for each source."""

import pytest

from wsdgateway.tokenbucket import MAX_SOURCES, SourceLimit, TokenBucket


def test_each_source_has_a_limit_of_answers_per_second():
    limit = SourceLimit(20)
    assert sum(limit.spend("192.0.2.1", 0.0) for _ in range(100)) == 20
    assert not limit.allows("192.0.2.1", 0.01)
    assert limit.allows("192.0.2.2", 0.01)
    assert sum(limit.spend("192.0.2.1", 0.01 * tick) for tick in range(1, 103)) == 20
    assert sum(limit.spend("192.0.2.1", 100.0) for _ in range(100)) == 20


def test_a_bucket_returns_the_wait_and_its_debt_is_at_most_one_second():
    bucket = TokenBucket(4.0)
    for _ in range(4):
        assert bucket.wait(100.0) == 0.0
        bucket.spend(100.0)
    assert bucket.wait(100.0) == pytest.approx(0.25)
    assert bucket.wait(100.0 + bucket.wait(100.0)) == 0.0
    for _ in range(100):
        bucket.spend(100.0)
    assert bucket.wait(100.0) == pytest.approx(1.25)
    assert bucket.wait(200.0) == 0.0
    assert TokenBucket(0.5).wait(0.0) == 0.0  # less than one token a second, but one is there at the start


def test_an_answer_that_costs_several_tokens_is_allowed_wholly_or_not_at_all():
    limit = SourceLimit(20)
    assert [limit.spend("192.0.2.1", 0.0, 8.0) for _ in range(4)] == [True, True, False, False]
    assert limit.left("192.0.2.1", 0.0) == 4.0
    assert limit.spend("192.0.2.1", 0.2, 8.0)


def test_the_number_of_sources_is_limited():
    limit = SourceLimit(1)
    for number in range(MAX_SOURCES + 1):
        assert limit.spend(str(number), 0.0)
    assert limit.allows("0", 0.0)  # forgotten
    assert not limit.allows("1", 0.0)
