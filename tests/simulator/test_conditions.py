"""Tests of simulator.conditions: the state, its reasons and the conditions that each kind of trouble causes."""

import pytest

from wsdgateway.simulator.conditions import INPUT_TRAY_EMPTY, KINDS, MAX_HISTORY, Conditions

JAM, LAMP, WARMING, BUSY, ATTENTION = (
    KINDS[name] for name in ("jam", "lamp-error", "lamp-warming", "busy", "attention"))


def conditions(*kinds):
    made = Conditions(lambda: 1e9)
    for kind in kinds:
        made.begin(kind)
    return made


@pytest.mark.parametrize(("kinds", "scanning", "state", "reasons"), [
    ((), False, "Idle", ("None",)), ((), True, "Processing", ("None",)),
    ((INPUT_TRAY_EMPTY,), False, "Idle", ("None",)),
    ((BUSY,), False, "Processing", ("None",)), ((WARMING,), False, "Processing", ("LampWarming",)),
    ((BUSY, WARMING), True, "Processing", ("LampWarming",)),
    ((JAM,), True, "Stopped", ("MediaJam",)), ((ATTENTION,), False, "Stopped", ("AttentionRequired",)),
    ((JAM, LAMP, WARMING, INPUT_TRAY_EMPTY), False, "Stopped", ("MediaJam", "LampError"))])
def test_the_most_serious_state_and_its_reasons_are_reported(kinds, scanning, state, reasons):
    assert conditions(*kinds).state(scanning=scanning) == (state, reasons)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_refuses_jobs_and_only_another_clients_job_lets_pages_pass(kind):
    assert kind.refuses_jobs
    assert kind.refuses_pages is (kind is not BUSY)
    assert bool(conditions(kind).active()) is bool(kind.component)


def test_a_condition_keeps_its_id_and_time_while_it_is_active_and_has_a_new_id_when_it_comes_back():
    now = [100.0]
    made = Conditions(lambda: now[0])
    assert made.begin(JAM).id == 1
    now[0] = 200.0
    assert made.begin(JAM) is None
    assert [(one.id, one.since) for one in made.active()] == [(1, 100.0)]
    ended = made.end(JAM)
    assert (ended.id, ended.since, ended.cleared) == (1, 100.0, 200.0)
    assert made.end(JAM) is None
    assert made.begin(JAM).id == 2
    assert [(one.id, one.cleared) for one in made.history()] == [(1, 200.0)]


def test_the_history_is_bounded_and_a_reboot_empties_it_but_reuses_no_id():
    made = conditions()
    for _ in range(MAX_HISTORY + 5):
        made.begin(JAM)
        made.end(JAM)
    assert [one.id for one in made.history()] == list(range(6, MAX_HISTORY + 6))
    made.forget()
    assert (made.history(), made.active(), made.kinds()) == ((), (), ())
    assert made.begin(JAM).id == MAX_HISTORY + 6
