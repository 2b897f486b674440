"""Tests of admin.history: increases of the counters by minute."""

from wsdgateway.admin.history import MINUTES, NOTHING, History
from wsdgateway.metrics import Totals


def test_each_minute_has_the_increase_since_the_sample_before():
    history = History()
    for minute, here in enumerate((0, 5, 5, 12)):
        history.sample(60.0 * minute, {"a": Totals(here=here)})
    found = history.minutes(200.0, {"a": Totals(here=13)})
    assert len(found) == MINUTES
    assert [one.here for one in found[-4:]] == [5, 0, 7, 1]
    assert sum(one.here for one in found) == 13 and found[0] == NOTHING


def test_scanners_are_added_up_and_told_apart():
    history = History()
    history.sample(0.0, {"a": Totals(here=1, errors=1)})
    now = {"a": Totals(here=3, errors=1), "b": Totals(there=4, errors=2)}
    assert history.minutes(30.0, now)[-1] == Totals(here=2, there=4, errors=2)
    assert history.minutes(30.0, now, "b")[-1] == Totals(there=4, errors=2)
    assert history.minutes(30.0, now, "c")[-1] == NOTHING


def test_what_is_older_than_an_hour_is_not_kept():
    history = History()
    for minute in range(200):
        history.sample(60.0 * minute, {"a": Totals(here=minute)})
    found = history.minutes(60.0 * 199 + 1, {"a": Totals(here=199)})
    assert [one.here for one in found] == [1] * (MINUTES - 1) + [0]
    assert history.since(1e9, 60.0 * 199, {"a": Totals(here=199)}).here == MINUTES


def test_a_machine_that_slept_has_empty_minutes():
    history = History()
    history.sample(0.0, {"a": Totals(here=1)})
    history.sample(6000.0, {"a": Totals(here=9)})
    assert [one.here for one in history.minutes(6000.0 + 120.0, {"a": Totals(here=9)})[-4:]] == [8, 0, 0, 0]


def test_errors_of_the_last_quarter_of_an_hour():
    history = History()
    assert history.since(900.0, 0.0, {"a": Totals(errors=2)}).errors == 2  # no sample yet: since the start
    for minute in range(31):
        history.sample(60.0 * minute, {"a": Totals(errors=minute)})
    assert history.since(900.0, 1800.0, {"a": Totals(errors=40)}).errors == 40 - 15
    assert history.since(900.0, 1830.0, {"a": Totals(errors=40)}).errors == 40 - 15
