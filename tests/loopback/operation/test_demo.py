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

HTML = b"Accept: text/html\r\n"
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
    [_, (port, path)] = re.findall(r"^    curl -X POST http://127\.0\.0\.1:(\d+)(\S+)$", made.printed, re.MULTILINE)
    status, _, _ = await request(int(port), path.encode(), method=b"POST")
    assert status == 200
    assert made.scanner.device.status.current == ("Stopped", ("MediaJam",))
    assert len(made.printed.splitlines()) == 22


@pytest_twisted.ensureDeferred
async def test_the_panel_of_the_demo_scans_into_a_folder(demo):
    made = await demo()
    admin = made.gateway.admin.address[1]
    await until(lambda: any(one.destinations for one in made.scanner.device.subscribers.held.values()))
    _, _, page = await request(admin, b"/", headers=HTML)
    [(port, path)] = re.findall(rb'href="http://127\.0\.0\.1:(\d+)(/control/)"', page)
    _, _, panel = await request(int(port), path, headers=HTML)
    assert b"Demo folder" in panel
    [action] = re.findall(rb'action="(press[^"]*source=Platen)"', panel)
    status, _, _ = await request(int(port), path + action.replace(b"&amp;", b"&"), headers=HTML, method=b"POST")
    assert status == 303
    await until(lambda: made.gateway.destinations.shared.last)
    _, _, body = await get(admin, b"/api/destinations")
    [one] = json.loads(body)
    files = one["files"]
    assert one["scanners"] == [{"name": "demo", "state": "subscribed", "waiting": 0}]
    assert re.fullmatch(r"demo-\d{8}-\d{6}-1\.pdf", files[0]["name"])
    _, _, page = await request(admin, b"/", headers=HTML)
    assert files[0]["name"].encode() in page


@pytest_twisted.ensureDeferred
async def test_a_demo_that_is_stopped_at_once_leaves_nothing_behind(demo):
    made = await demo()
    await made.stopService()
