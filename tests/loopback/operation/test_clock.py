"""Changes to the system time while the gateway runs: by a day, forwards or backwards."""

import json
import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults

from tests.loopback.clients import request, shown
from tests.loopback.gateways import LOOPBACK
from tests.loopback.scanners import Subscribed
from tests.messages import get_job_elements, manage, status_event, subscribe
from tests.peers import ask
from tests.scannerstatuses import cleared_event, condition_event, summary_event
from tests.waiting import until
from wsdgateway.app.service import GatewayService
from wsdgateway.config.reading import make_config
from wsdgateway.http.messages import first
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSE

DAY = 86400.0
PATH = "/front-desk/scan"
W = f"{{{WSE}}}"


class Wall:
    set_by = 0.0

    def __call__(self):
        return time.time() + self.set_by


@pytest.fixture
def at(running, device, tmp_path):
    """Starts a gateway with a store and a given clock: `await at(wall)`."""
    async def start(wall):
        from twisted.internet import reactor

        service = await running(GatewayService(reactor, make_config({
            "gateway": {"state": f"sqlite:{tmp_path}/g.sqlite", "name": "test"}, "listen": [{"endpoint": LOOPBACK}],
            "scanner": [{"name": "front-desk", "scan": device.url}], "admin": {"endpoint": LOOPBACK}}, "t.toml"),
            wall=wall))
        await gatherResults([listener.opened for listener in (*service.listeners, service.admin)])
        service.port, service.admin_port = service.listeners[0].address[1], service.admin.address[1]
        await until(lambda: service.scanners[0].bridge.table.listening)
        return service
    return start


async def left(service, identifier):
    """Returns the remaining seconds of a subscription."""
    head, body = await ask(service.port, PATH, manage("GetStatus", identifier))
    assert head.status == 200
    return float(read(body).body.findtext(f"{W}Expires")[2:-1])


@pytest.mark.parametrize("jump", [DAY, -DAY])
@pytest_twisted.ensureDeferred
async def test_setting_the_clock_does_not_affect_durations(at, device, sink, jump):
    wall, scanner, listening = Wall(), Subscribed(device), await sink()
    service = await at(wall)
    await ask(service.port, scanner.path, status_event("7", "Processing"))
    _, body = await ask(service.port, PATH, subscribe(listening.url, expires="PT1H"))
    identifier = read(body).body.findtext(f".//{W}Identifier")

    wall.set_by = jump
    service.scanners[0].subscribers.look()
    assert 3500 < await left(service, identifier) <= 3600
    asked = len(device.requests)
    head, body = await ask(service.port, PATH, get_job_elements("7"))
    assert shown(body) == ("Processing", 0) and len(device.requests) == asked, "the cached status must stay valid"
    await ask(service.port, scanner.path, status_event("7", "Processing", 1, message_id="urn:2"))
    await until(lambda: listening.received)
    assert service.scanners[0].bridge.table.listening

    date = parsedate_to_datetime(first(head.headers, b"date").decode())
    assert abs((date - datetime.now(UTC)).total_seconds() - jump) < 60, "Date must be the system time"
    listed = (await request(service.admin_port, b"/api/subscriptions"))[2]
    assert datetime.fromtimestamp(wall() + 3600, UTC).strftime("%Y-%m-%d").encode() in listed


@pytest.mark.parametrize("jump", [DAY, -DAY])
@pytest_twisted.ensureDeferred
async def test_subscriptions_survive_a_restart_after_the_clock_was_set(at, device, sink, jump):
    wall, listening = Wall(), await sink()
    Subscribed(device)
    service = await at(wall)
    answers = [await ask(service.port, PATH, subscribe(listening.url, expires="PT1H"))]
    wall.set_by = jump
    answers.append(await ask(service.port, PATH, subscribe(f"{listening.url}/2", expires="PT1H")))
    instance = service.instance_id
    await service.stopService()
    again = await at(wall)
    for _, body in answers:
        assert 3500 < await left(again, read(body).body.findtext(f".//{W}Identifier")) <= 3600
    assert again.instance_id > instance, "clients would ignore messages with an older InstanceId"


@pytest.mark.parametrize("jump", [DAY, -DAY])
@pytest_twisted.ensureDeferred
async def test_setting_the_clock_does_not_change_how_long_a_problem_lasts(at, device, said, jump):
    wall, scanner = Wall(), Subscribed(device)
    service = await at(wall)
    await ask(service.port, scanner.path, condition_event("MediaJam", id="7"))
    await ask(service.port, scanner.path, summary_event("Stopped", "MediaJam"))
    await until(lambda: service.scanners[0].health.problem)
    wall.set_by = jump
    [entry] = json.loads((await request(service.admin_port, b"/api/scanners"))[2])
    assert entry["problem"] == "paper jam"
    for since in ("problem_since", "reachable_since"):
        assert abs(datetime.fromisoformat(entry[since]).timestamp() - wall()) < 60
    await ask(service.port, scanner.path, cleared_event("7"))
    await ask(service.port, scanner.path, summary_event("Idle", message_id="urn:uuid:2"))
    await until(lambda: any(" has ended after " in line for line in said))
    [line] = [line for line in said if " has ended after " in line]
    assert re.search(r"after \d+ s: paper jam", line)


@pytest_twisted.ensureDeferred
async def test_an_absolute_expiry_is_in_the_present_system_time(at, device, sink):
    wall, listening = Wall(), await sink()
    Subscribed(device)
    service = await at(wall)
    wall.set_by = -DAY
    end = datetime.fromtimestamp(wall() + 1800, UTC).isoformat()
    _, body = await ask(service.port, PATH, subscribe(listening.url, expires=end))
    answer = read(body).body
    assert abs(datetime.fromisoformat(answer.findtext(f"{W}Expires")).timestamp() - wall() - 1800) < 60
    assert 1700 < await left(service, answer.findtext(f".//{W}Identifier")) <= 1800
