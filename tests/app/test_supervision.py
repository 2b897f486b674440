"""Tests of app.supervision: what systemd is told of a gateway's start, reloads and stop, with a simulated clock."""

import faulthandler
import os
import socket

import pytest
from twisted.internet.task import Clock

from wsdgateway.app.supervision import PINGS, STATUS_SECONDS, Supervision

WATCHDOG = 30.0


class Gateway:
    """State of a gateway, and the socket of a stand-in for systemd."""

    def __init__(self, folder):
        self.problems, self.tried, self.reachable = ["tcp:5357: not open yet"], False, 0
        self.clock = Clock()
        self.peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.peer.bind(str(folder / "notify"))
        self.peer.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": str(folder / "notify")}
        self.supervision = Supervision(self.clock, self.environment, lambda: self.problems, lambda: self.tried,
                                       lambda: f"{self.reachable} of 4 scanners reachable")

    def opens(self):
        self.problems, self.tried = [], True
        self.supervision.changed()

    def told(self):
        """The messages since the last call, each with its fields in order."""
        found = []
        while True:
            try:
                found.append(self.peer.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return found


@pytest.fixture
def gateway(tmp_path):
    made = Gateway(tmp_path)
    yield made
    made.supervision.stop()
    made.peer.close()
    assert not made.clock.getDelayedCalls()


def test_ready_is_told_once_when_every_listener_is_open(gateway):
    gateway.supervision.start()
    assert gateway.told() == [["STATUS=Not ready: tcp:5357: not open yet"]]
    gateway.supervision.changed()
    assert gateway.told() == []
    gateway.opens()
    assert gateway.told() == [["READY=1", "STATUS=0 of 4 scanners reachable"]]
    gateway.supervision.changed()
    gateway.clock.advance(STATUS_SECONDS)
    assert gateway.told() == []


def test_while_a_listener_waits_for_its_address_the_time_for_the_start_is_extended(gateway):
    gateway.supervision.start()
    gateway.clock.advance(STATUS_SECONDS)
    assert ["EXTEND_TIMEOUT_USEC=30000000"] not in gateway.told()  # it has not tried yet
    gateway.problems, gateway.tried = ["tcp:5357: no such address"], True
    gateway.supervision.changed()
    assert gateway.told() == [["STATUS=Not ready: tcp:5357: no such address"]]
    for _ in range(2):
        gateway.clock.advance(STATUS_SECONDS)
        assert gateway.told() == [["EXTEND_TIMEOUT_USEC=30000000"]]
    gateway.opens()
    gateway.told()
    gateway.clock.advance(STATUS_SECONDS)
    assert gateway.told() == []


def test_the_status_is_told_when_it_changes_at_most_once_in_five_seconds(gateway):
    gateway.supervision.start()
    gateway.opens()
    gateway.told()
    for gateway.reachable in (1, 2, 3):
        gateway.clock.advance(STATUS_SECONDS / 4)
    assert gateway.told() == []
    gateway.clock.advance(STATUS_SECONDS / 4)
    assert gateway.told() == [["STATUS=3 of 4 scanners reachable"]]


def test_a_reload_is_reloading_and_then_ready(gateway):
    gateway.supervision.start()
    gateway.opens()
    gateway.told()
    gateway.supervision.reloading()
    [[first, moment, _]] = gateway.told()
    assert first == "RELOADING=1" and moment.startswith("MONOTONIC_USEC=")
    assert int(moment.partition("=")[2]) > 0
    gateway.reachable = 4
    gateway.supervision.reloaded()
    assert gateway.told() == [["READY=1", "STATUS=4 of 4 scanners reachable"]]


def test_a_reload_before_the_gateway_is_ready_does_not_make_it_ready(gateway):
    gateway.supervision.start()
    gateway.told()
    gateway.supervision.reloading()
    gateway.supervision.reloaded()
    assert gateway.told() == []


def test_after_stopping_nothing_but_pings_follows(gateway):
    gateway.environment["WATCHDOG_USEC"] = str(int(WATCHDOG * 1e6))
    gateway.supervision.start()
    gateway.opens()
    gateway.told()
    gateway.supervision.stopping(25.0)
    assert gateway.told() == [
        ["STOPPING=1", "EXTEND_TIMEOUT_USEC=25000000", "STATUS=Stopping: running requests are finished"]]
    gateway.problems = ["tcp:5357: closed"]
    gateway.supervision.reloading()
    gateway.supervision.reloaded()
    gateway.supervision.stopping(25.0)
    gateway.clock.advance(WATCHDOG / PINGS)
    assert gateway.told() == [["WATCHDOG=1"]]


def test_the_watchdog_is_pinged_by_the_reactor_several_times_in_its_time(gateway):
    gateway.environment |= {"WATCHDOG_USEC": str(int(WATCHDOG * 1e6)), "WATCHDOG_PID": str(os.getpid())}
    gateway.supervision.start()
    gateway.opens()
    gateway.told()
    gateway.clock.pump([WATCHDOG / PINGS] * PINGS)
    assert gateway.told() == [["WATCHDOG=1"]] * PINGS
    assert faulthandler.is_enabled()
    assert gateway.environment == {}


def test_without_a_watchdog_there_are_no_pings(gateway):
    gateway.environment |= {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}
    gateway.supervision.start()
    gateway.opens()
    gateway.told()
    gateway.clock.advance(60.0)
    assert gateway.told() == []


def test_without_systemd_nothing_is_timed_and_the_state_is_not_read():
    clock = Clock()
    supervision = Supervision(clock, {}, lambda: 1 / 0, lambda: 1 / 0, lambda: 1 / 0)
    supervision.start()
    supervision.changed()
    supervision.reloading()
    supervision.reloaded()
    assert not clock.getDelayedCalls()
