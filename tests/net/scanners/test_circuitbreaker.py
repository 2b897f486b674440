"""Tests of net.scanners.circuitbreaker: when an unreachable device is tried again."""

from wsdgateway.net.scanners.circuitbreaker import FIRST_PAUSE, LONGEST_PAUSE, THRESHOLD, CircuitBreaker


def test_the_circuit_opens_after_failures_in_a_row():
    circuit = CircuitBreaker()
    for _ in range(THRESHOLD - 1):
        circuit.failed(0.0)
        assert circuit.admits(0.0)
    assert circuit.succeeded() == THRESHOLD - 1
    for _ in range(THRESHOLD):
        assert not circuit.is_open
        circuit.failed(0.0)
    assert circuit.is_open
    assert not circuit.admits(FIRST_PAUSE - 0.01)


def test_one_trial_at_a_time_and_pauses_grow_to_five_seconds():
    circuit, now, pauses = CircuitBreaker(), 0.0, []
    for _ in range(THRESHOLD):
        circuit.failed(now)
    for _ in range(8):
        began = now
        while not circuit.admits(now):
            now += 0.01
        pauses.append(round(now - began, 1))
        assert not circuit.admits(now + 100)
        circuit.failed(now)
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(pauses) == LONGEST_PAUSE == 5.0
    assert circuit.admits(now + 5.01)
    circuit.succeeded()
    assert circuit.admits(now + 5.01)
