"""Tests of storage.redis.scannerdata: how finished jobs that waited are merged with those on the server."""

import attrs
import pytest

from tests.storage.stores import job
from wsdgateway.storage.redis.scannerdata import MAX_SUPERSEDED, Merging, ScannerData, merge_jobs


def marked(number):
    return attrs.evolve(job(number), superseded=True)


AGAIN = attrs.evolve(job(1), finished=9.0)


@pytest.mark.parametrize(("listed", "waiting", "superseded", "expected"), [
    ([], [], (), Merging((), ())),
    ([job(1)], [job(2)], (), Merging((), (job(2),))),
    ([job(1), job(2)], [job(2), job(3)], (), Merging((), (job(3),))),  # the answer to the write of 2 was lost
    ([job(1), job(2)], [], ("1",), Merging(((0, marked(1)),), ())),
    ([marked(1)], [], ("1",), Merging((), ())),
    ([None, job(1)], [], ("1",), Merging(((1, marked(1)),), ())),
    ([job(1)], [AGAIN], ("1",), Merging(((0, marked(1)),), (AGAIN,))),
    ([job(1), AGAIN], [AGAIN], ("1",), Merging(((0, marked(1)),), ())),
    ([job(1)], [marked(1)], ("1",), Merging(((0, marked(1)),), ())),
])
def test_jobs_that_waited_are_merged(listed, waiting, superseded, expected):
    assert merge_jobs(listed, waiting, superseded) == expected


def test_the_number_of_marks_is_bounded():
    data = ScannerData("a", 3, lambda commands: None, lambda: 1)
    for number in range(MAX_SUPERSEDED + 5):
        data.supersede(str(number))
    assert list(data.superseded) == [str(number) for number in range(5, MAX_SUPERSEDED + 5)]
