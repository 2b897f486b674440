"""Tests of the demo in this process: what it prints, and what its admin site shows."""

import io
import json
import re
import sys

import pytest
import pytest_twisted

from tests.loopback.clients import get, request
from tests.waiting import until
from wsdgateway.app.demo import Demo
from wsdgateway.scan.operations import SCANNER_STATUS_EVENTS
from wsdgateway.simulator.events import Subscribers

SUMMARY, CONDITION, CLEARED = SCANNER_STATUS_EVENTS


@pytest.fixture
def demo(running, monkeypatch):
    """Starts the demo; `printed` is what it prints."""

    async def start():
        from twisted.internet import reactor

        printed = io.StringIO()
        monkeypatch.setattr(sys, "__stdout__", printed)
        made = await running(Demo(reactor))
        await until(printed.getvalue)
        made.printed = printed.getvalue()
        return made

    return start


@pytest_twisted.ensureDeferred
async def test_the_model_is_shown_and_events_tell_the_state(demo, monkeypatch):
    monkeypatch.setattr("wsdgateway.app.demo.WARM_UP", 0.01)
    told, notify = [], Subscribers.notify

    def noted(self, subscription, event, body):
        told.append((event, body))
        notify(self, subscription, event, body)

    monkeypatch.setattr(Subscribers, "notify", noted)
    made = await demo()
    await until(lambda: len(told) == 4)
    assert [event for event, _ in told] == [CONDITION, SUMMARY, CLEARED, SUMMARY]
    assert "LampWarming" in told[0][1]
    assert ">Idle<" in told[-1][1]
    _, _, body = await get(made.gateway.admin.address[1], b"/api/scanners")
    [scanner] = json.loads(body)
    assert (scanner["model"], scanner["reachable"]) == ("wsdgateway Virtual scanner", True)
    assert "GetScannerElements" not in made.scanner.soap.asked


@pytest_twisted.ensureDeferred
async def test_the_printed_command_jams_the_scanner(demo):
    made = await demo()
    [(port, path)] = re.findall(r"^    curl -X POST http://127\.0\.0\.1:(\d+)(\S+)$", made.printed, re.MULTILINE)
    status, _, _ = await request(int(port), path.encode(), method=b"POST")
    assert status == 200
    assert made.scanner.device.status.current == ("Stopped", ("MediaJam",))
    assert len(made.printed.splitlines()) == 18


@pytest_twisted.ensureDeferred
async def test_a_demo_that_is_stopped_at_once_leaves_nothing_behind(demo):
    made = await demo()
    await made.stopService()
