"""Requests whose owner is not there, dies, is another gateway than thought, or answers nonsense."""

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults

from tests.loopback.cluster.gateways import FOREVER, SCANNER
from tests.loopback.exchanges.images import IMAGE
from tests.messages import (
    ELEMENTS,
    SCAN,
    create_scan_job,
    get_job_elements,
    job_request,
    status_event,
    status_response,
    subscribe,
)
from tests.peers import ask, connect, post
from tests.waiting import until
from wsdgateway.bridge.cluster.passing import MAX_REDIRECTIONS
from wsdgateway.bridge.cluster.peerfields import (
    CLIENT,
    PASSED,
    SECRET,
    Passed,
    Record,
    read_record,
    write_passed,
    write_record,
)
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.http.messages import first
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of, reason_of

PATH = "/front-desk/scan"
OFF = {"events": "off"}
RECORD = b"WSDGateway-Token: 3\r\nWSDGateway-Record: " + write_record(Record("GetScannerElements", "device", SCANNER))


def reason(body, fault="ServerErrorTemporaryError"):
    assert fault_of(read(body)) == fault
    return reason_of(read(body))


async def begun(port, message, path=PATH):
    """Sends a request, and returns the connection."""
    client = await connect(port)
    client.send(post(path, message))
    return client


async def answered(client):
    head, body = await client.answer()
    client.transport.abortConnection()
    await client.end()
    return head, body


def at(device, name="other"):
    """The registration of a gateway that the test plays."""
    return Registration(f"id-{name}", name, f"http://127.0.0.1:{device.port}", "")


# After a temporary error, a client would ask for the page again, get the next one, and not notice that one is missing.
@pytest.mark.parametrize(("message", "fault"), [
    (create_scan_job(), "ServerErrorTemporaryError"), (job_request("CancelJob"), "ServerErrorTemporaryError"),
    (IMAGE, "ServerErrorInternalError"), (subscribe("http://127.0.0.1:9/"), "ServerErrorTemporaryError")])
@pytest_twisted.ensureDeferred
async def test_what_may_have_been_carried_out_is_never_sent_twice(clustered, device, message, fault):
    front = await clustered("front", device.url)
    front.owners.owner = at(device)
    client = await begun(front.port, message)
    (await device.next()).abort()
    head, body = await answered(client)
    assert head.status == 500
    text = reason(body, fault)
    assert text.startswith("The gateway other, which owns the scanner, broke off before it answered")
    assert "may have been carried out" in text
    assert read(body).relates_to == read(message).message_id
    assert len(device.requests) == 1
    [line] = front.entries()
    assert (line.operation, line.source, line.fault) == (
        read(message).action.rpartition("/")[2], "refused", fault)
    assert front.sample("wsdgateway_passed_total", outcome="error") == 1


@pytest.mark.parametrize("message", [ELEMENTS, get_job_elements(), *(
    job_request(name) for name in ("GetActiveJobs", "GetJobHistory", "ValidateScanTicket"))])
@pytest_twisted.ensureDeferred
async def test_a_read_is_sent_once_more(clustered, device, message):
    front = await clustered("front", device.url)
    front.owners.owner = at(device)
    client = await begun(front.port, message)
    (await device.next()).abort()
    (await device.next()).answer(b"<a/>", headers=RECORD + b"\r\n")
    assert (await answered(client))[1] == b"<a/>"
    client = await begun(front.port, message)
    (await device.next()).abort()
    (await device.next()).abort()
    assert "broke off before it answered" in reason((await answered(client))[1])
    assert len(device.requests) == 4


@pytest_twisted.ensureDeferred
async def test_the_owner_dies_and_another_gateway_takes_over(clustered, device):
    device.handle = lambda asked: asked.answer(status_response("7"))
    former, later, front = [await clustered(name, device.url, scanner=OFF) for name in ("former", "later", "front")]
    former.own()
    front.owners.owner = former.registration
    assert (await ask(front.port, PATH, get_job_elements("7")))[0].status == 200
    await former.kill()
    client = await begun(front.port, get_job_elements("7"))
    await until(lambda: front.held.count == 1)
    front.owners.owner = None
    await until(lambda: front.owners.waits == 1)
    later.own(token=2)
    front.owners.owner = later.registration
    assert (await answered(client))[0].status == 200
    assert [one.via for one in front.entries()] == ["former", "later"]
    assert front.sample("wsdgateway_passed_total", outcome="held") >= 1
    assert front.owners.demoted == [(SCANNER, 1), (SCANNER, 2)]
    assert front.held.count == 0


@pytest_twisted.ensureDeferred
async def test_a_request_waits_for_an_owner_and_may_find_this_gateway(clustered, device):
    device.handle = lambda asked: asked.answer(status_response("7"))
    front = await clustered("front", device.url, scanner=OFF)
    client = await begun(front.port, get_job_elements("7"))
    await until(lambda: front.held.count == 1)
    front.own()
    front.owners.owner = front.registration
    assert (await answered(client))[0].status == 200
    assert [(one.source, one.via) for one in front.entries()] == [("device", None)]


@pytest_twisted.ensureDeferred
async def test_a_lease_that_does_not_hold_for_a_moment_delays_a_request(clustered, device):
    """The process was stopped, and its next tick has not been answered."""
    device.handle = lambda asked: asked.answer(status_response("7"))
    owner = await clustered("owner", device.url, scanner=OFF)
    owner.own()
    owner.owners.owner = owner.registration
    owner.lose()
    client = await begun(owner.port, get_job_elements("7"))
    await until(lambda: owner.held.count == 1)
    owner.lease.valid_until = FOREVER
    assert (await answered(client))[0].status == 200
    assert [(one.source, one.via) for one in owner.entries()] == [("device", None)]


@pytest_twisted.ensureDeferred
async def test_a_gateway_that_is_named_as_the_owner_and_is_not_waits(clustered, device, monkeypatch):
    monkeypatch.setattr("wsdgateway.bridge.cluster.passing.HOLD_SECONDS", 0.1)
    other, front = [await clustered(name, device.url) for name in ("other", "front")]
    other.owners.owner = front.registration
    front.owners.owner = other.registration
    _, body = await ask(front.port, PATH, create_scan_job())
    assert reason(body).endswith("Try again in a few seconds.")
    assert device.requests == []


@pytest_twisted.ensureDeferred
async def test_nobody_owns_the_scanner_for_too_long(clustered, device, monkeypatch):
    monkeypatch.setattr("wsdgateway.bridge.cluster.passing.HOLD_SECONDS", 0.1)
    front = await clustered("front", device.url)
    head, body = await ask(front.port, PATH, create_scan_job())
    assert (head.status, reason(body)) == (
        500, "No gateway owns the scanner at the moment. Try again in a few seconds.")
    assert device.requests == []


@pytest_twisted.ensureDeferred
async def test_only_so_many_requests_are_held(clustered, device):
    front = await clustered("front", device.url)
    front.held.limit = 2
    clients = [await begun(front.port, ELEMENTS) for _ in range(2)]
    await until(lambda: front.held.count == 2)
    _, body = await ask(front.port, PATH, ELEMENTS)
    assert "2 requests are waiting for an owner already" in reason(body)
    for client in clients:
        client.transport.abortConnection()
        await client.end()
    await until(lambda: front.held.count == 0)
    assert [(one.operation, one.status) for one in front.entries()] == [
        ("GetScannerElements", 500), ("GetScannerElements", None), ("GetScannerElements", None)]


@pytest_twisted.ensureDeferred
async def test_a_gateway_without_a_link_is_named(clustered, device):
    front = await clustered("front", device.url)
    front.owners.owner = Registration("id", "lone", "", "")
    _, body = await ask(front.port, PATH, ELEMENTS)
    assert reason(body).startswith("The gateway lone owns the scanner and has no link to the others")


@pytest_twisted.ensureDeferred
async def test_a_gateway_that_is_not_the_owner_names_it(clustered, device):
    device.handle = lambda asked: asked.answer(status_response("7"))
    owner, second, front = [await clustered(name, device.url, scanner=OFF) for name in ("owner", "second", "front")]
    owner.own()
    second.owners.owner = owner.registration
    front.owners.owner = second.registration
    assert (await ask(front.port, PATH, get_job_elements("7")))[0].status == 200
    assert [one.via for one in front.entries()] == ["owner"]
    assert second.entries() == []


@pytest_twisted.ensureDeferred
async def test_gateways_that_name_each_other_are_not_followed_for_ever(clustered, device, monkeypatch):
    monkeypatch.setattr("wsdgateway.bridge.cluster.passing.HOLD_SECONDS", 0.1)
    first_one, second, front = [await clustered(name, device.url) for name in ("first", "second", "front")]
    first_one.owners.owner = second.registration
    second.owners.owner = front.owners.owner = first_one.registration
    _, body = await ask(front.port, PATH, create_scan_job())
    assert "does not own the scanner any more" in reason(body)
    assert front.sample("wsdgateway_passed_total", outcome="held") == 1
    assert MAX_REDIRECTIONS == 2
    assert device.requests == []


@pytest_twisted.ensureDeferred
async def test_an_owner_that_has_lost_its_lease_passes_its_own_clients_on(clustered, device):
    device.handle = lambda asked: asked.answer(status_response("7"))
    former, later = [await clustered(name, device.url, scanner=OFF) for name in ("former", "later")]
    former.own()
    client = await connect(former.port)
    for number in range(3):  # also those that are recognised by their bytes
        client.send(post(PATH, get_job_elements("7", message_id=f"urn:uuid:{number}")))
        assert (await client.answer())[0].status == 200
    asked = len(device.requests)
    former.lose()
    later.own(token=2)
    former.owners.owner = later.registration
    client.send(post(PATH, get_job_elements("7", message_id="urn:uuid:3")))
    assert (await answered(client))[0].status == 200
    assert [one.via for one in former.entries()] == [None, None, None, "later"]
    assert len(device.requests) == asked + 1


@pytest_twisted.ensureDeferred
async def test_a_request_that_waits_for_the_scanner_goes_on_to_the_new_owner(clustered, device):
    former, later, front = [await clustered(name, device.url, scanner={**OFF, "max_connections": 1})
                            for name in ("former", "later", "front")]
    former.own()
    front.owners.owner = former.owners.owner = former.registration
    running = await begun(former.port, job_request("ValidateScanTicket"))
    asked = await device.next()
    waiting = [await begun(port, create_scan_job(f"urn:uuid:{port}")) for port in (former.port, front.port)]
    await until(lambda: former.scanner.device.waiting == 2)
    former.lose()
    later.own(token=2)
    front.owners.owner = former.owners.owner = later.registration
    asked.answer(b"<a/>")
    for _ in waiting:
        (await device.next()).answer(status_response("7"))
    assert (await answered(running))[0].status == 200
    assert [head.status for head, _ in await gatherResults([_deferred(answered(one)) for one in waiting])] == [200, 200]
    assert [one.via for one in former.entries() if one.operation == "CreateScanJob"] == ["later"]
    assert [one.via for one in front.entries()] == ["later"]


def _deferred(coroutine):
    from twisted.internet.defer import Deferred

    return Deferred.fromCoroutine(coroutine)


@pytest_twisted.ensureDeferred
async def test_a_gateway_that_hangs_is_left_when_another_one_takes_over(clustered, device, monkeypatch):
    monkeypatch.setattr("wsdgateway.net.cluster.peerlink.LOOK_SECONDS", 0.02)
    later, front = [await clustered(name, "http://127.0.0.1:9/", scanner=OFF) for name in ("later", "front")]
    front.owners.owner = at(device, "stopped")
    reading, creating = [await begun(front.port, message) for message in (IMAGE, create_scan_job())]
    await device.next()
    await device.next()
    later.own()
    front.owners.owner = later.registration
    for client, fault in ((creating, "ServerErrorTemporaryError"), (reading, "ServerErrorInternalError")):
        _, body = await answered(client)
        assert "the gateway later has taken the scanner over" in reason(body, fault)
    assert len(device.requests) == 2


@pytest_twisted.ensureDeferred
async def test_a_gateway_that_does_not_answer_in_time(clustered, device, monkeypatch):
    monkeypatch.setattr("wsdgateway.net.cluster.peerlink.LOOK_SECONDS", 0.02)
    front = await clustered("front", device.url, cluster={"answer_seconds": 0.05})
    front.owners.owner = at(device)
    _, body = await ask(front.port, PATH, create_scan_job())
    assert "no answer within 0.05 s" in reason(body)


@pytest_twisted.ensureDeferred
async def test_a_subscribe_whose_client_has_left_ends_at_the_owner(clustered, device, monkeypatch):
    monkeypatch.setattr("wsdgateway.net.cluster.peerlink.LOOK_SECONDS", 0.02)
    front = await clustered("front", device.url)
    front.owners.owner = at(device)
    client = await begun(front.port, subscribe("http://127.0.0.1:9/"))
    asked = await device.next()
    client.transport.abortConnection()
    await client.end()
    await device.until_lost(asked)
    await until(lambda: front.entries())
    assert [(one.operation, one.status) for one in front.entries()] == [("Subscribe", None)]


@pytest.mark.parametrize(("answer", "why"), [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<a/>", "with status 200 and without a record"),
    (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "did not accept the secret of the gateways"),
    (b"HTTP/1.1 200 OK\r\nWSDGateway-Record: [1]\r\nContent-Length: 0\r\n\r\n", "must be a list of 12 values"),
    (b"HTTP/1.1 200 OK\r\nWSDGateway-Record: " + b"[" * 9000 + b"\r\nContent-Length: 0\r\n\r\n", "must be a list"),
    (b"HTTP/1.1 200 OK\r\nWSDGateway-Body: 2\r\nContent-Length: 4\r\n\r\n<a/>", "must be a list of 12 values"),
    (b"HTTP/1.1 200 OK\r\nWSDGateway-Body: 9\r\nContent-Length: 4\r\n\r\n<a/>", "must be a list of 12 values"),
    (b"HTTP/1.1 200 OK\r\nWSDGateway-Token: -1\r\nContent-Length: 0\r\n\r\n", "its token must be a number"),
    (b"HTTP/1.1 421 No\r\nWSDGateway-Owner: {}\r\nContent-Length: 0\r\n\r\n", "must be an identifier, a name"),
    (b'HTTP/1.1 421 No\r\nWSDGateway-Owner: ["a","b","file:///"]\r\nContent-Length: 0\r\n\r\n', "an http URL"),
    (b"nonsense\r\n\r\n", "not HTTP"),
])
@pytest_twisted.ensureDeferred
async def test_an_answer_that_no_gateway_sends_becomes_a_fault(clustered, device, answer, why):
    front = await clustered("front", device.url)
    front.owners.owner = at(device)
    device.handle = lambda asked: asked.write(answer)
    _, body = await ask(front.port, PATH, create_scan_job())
    assert why in reason(body)
    assert len(device.requests) == 1


@pytest.mark.parametrize("rest", [
    b"0\r\n\r\n", b"0\r\nWSDGateway-Record: 7\r\n\r\n", b"5\r\nabcde\r\n0\r\n" + RECORD + b"\r\n\r\n", b"nonsense"])
@pytest_twisted.ensureDeferred
async def test_a_streamed_answer_without_a_good_end_breaks_off(clustered, device, rest):
    front = await clustered("front", device.url)
    front.owners.owner = at(device)
    client = await begun(front.port, IMAGE)
    asked = await device.next()
    asked.write(b"HTTP/1.1 200 OK\r\nWSDGateway-Length: 3\r\nContent-Type: image/jpeg\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await client.until(lambda data: data.endswith(b"abc"))
    asked.write(rest)
    assert b"Content-Length: 3\r\n" in await client.end()
    await until(lambda: front.entries())
    assert [(one.operation, one.status) for one in front.entries()] == [("RetrieveImage", None)]


@pytest_twisted.ensureDeferred
async def test_a_wrong_secret_is_refused_without_a_reason(pair, device, said):
    owner, front = await pair(device.url, scanner=OFF)
    front.secret = b"00" * 24
    _, body = await ask(front.port, PATH, ELEMENTS)
    assert "did not accept the secret" in reason(body)
    owner.secret = front.secret = b""  # not known yet
    _, body = await ask(front.port, PATH, ELEMENTS)
    assert "did not accept the secret" in reason(body)
    assert device.requests == []
    assert len([line for line in said if "did not show the secret of the gateways" in line]) == 1


def fields(**more):
    passed = Passed("front", SCANNER, "scan", "", "POST", "x", "http://x", 80, False)
    return b"".join(b"%s: %s\r\n" % field for field in (
        (CLIENT, b"192.0.2.7:5"), (SECRET, b"5ec4e7" * 8), (PASSED, write_passed(attrs.evolve(passed, **more)))))


@pytest_twisted.ensureDeferred
async def test_the_peer_link_answers_only_passed_requests(pair, device):
    owner, _ = await pair(device.url, scanner=OFF, allow=[{"clients": ["192.0.2.7/32"]}, {"deny": True}])
    device.handle = lambda asked: asked.answer(b"<a/>")
    good = fields()
    head, body = await ask(owner.peer_port, PATH, ELEMENTS, headers=good)
    assert (head.status, first(head.headers, b"wsdgateway-body"), body[:4]) == (200, b"4", b"<a/>")
    assert read_record(body[4:]) == Record("GetScannerElements", "device", SCANNER, None, f"{SCAN}/GetScannerElements",
                                           read(ELEMENTS).message_id)
    for headers, status in (
            (b"", 403), (good.replace(b"5ec4e7", b"5ec4e8"), 403), (good.replace(b"192.0.2.7:5", b"here"), 400),
            (good.replace(b"192.0.2.7:5", b"192.0.2.x:5"), 400), (good.replace(b"false", b"0"), 400),
            (fields(scanner="other"), 421), (fields(prefix="none"), 421), (fields(rest="€"), 400),
            (fields(method="€"), 400), (fields(host="€"), 400), (good.replace(b"192.0.2.7:5", b"192.0.2.7:\xb2"), 400),
            (good.replace(b"192.0.2.7:5", b"192.0.2.8:5"), 403)):
        head, body = await ask(owner.peer_port, PATH, ELEMENTS, headers=headers)
        assert head.status == status, headers
        length = first(head.headers, b"wsdgateway-body")
        assert (length is None) is (headers != good.replace(b"192.0.2.7:5", b"192.0.2.8:5"))
        assert body == b"" if length is None else fault_of(read(body[:int(length)])) == "NotAllowed"
    assert len(device.requests) == 1


@pytest_twisted.ensureDeferred
async def test_a_passed_request_is_never_passed_on_again(pair, device):
    owner, front = await pair(device.url, scanner=OFF)
    head, body = await ask(front.peer_port, PATH, ELEMENTS, headers=fields())
    assert (head.status, body) == (421, b"")
    assert b"id-owner" in first(head.headers, b"wsdgateway-owner")
    owner.lose()
    owner.owners.owner = front.registration
    head, _ = await ask(owner.peer_port, PATH, ELEMENTS, headers=fields())
    assert b"id-front" in first(head.headers, b"wsdgateway-owner")
    assert device.requests == []


# Notifications.


@pytest_twisted.ensureDeferred
async def test_a_notification_that_reaches_another_gateway_is_taken_by_the_owner(pair, device_with_events):
    limits = {"client_requests": 3.0, "unlimited": []}
    owner, front = await pair(device_with_events.device.url, front={"limits": limits})
    await until(lambda: owner.scanner.bridge.table.listening)
    for number in range(20):
        head, _ = await ask(front.port, device_with_events.path,
                            status_event(str(number), message_id=f"urn:uuid:{number}"))
        assert head.status == 202, number
    assert len([line for line in owner.entries() if line.source == "event"]) == 20
    assert owner.scanner.bridge.table.get("19").status.state == "Processing"
    assert front.entries() == []
    assert front.sample("wsdgateway_passed_total", outcome="ok") == 20
    assert owner.sample("wsdgateway_events_total") == 20


@pytest_twisted.ensureDeferred
async def test_an_unknown_secret_counts_against_the_quota_of_its_client(pair, device_with_events):
    limits = {"client_requests": 3.0, "unlimited": []}
    owner, front = await pair(device_with_events.device.url, front={"limits": limits})
    await until(lambda: owner.scanner.bridge.table.listening)
    statuses = [(await ask(front.port, "/front-desk/events/guess", status_event()))[0].status for _ in range(30)]
    assert statuses[0] == 404
    assert 429 in statuses
    assert front.sample("wsdgateway_refused_total", reason="rate") > 0


@pytest_twisted.ensureDeferred
async def test_a_notification_that_breaks_off_here_makes_the_owner_ask(pair, device_with_events, said):
    owner, front = await pair(device_with_events.device.url)
    await until(lambda: owner.scanner.bridge.table.listening)
    client = await connect(front.port)
    client.send(post(device_with_events.path, status_event("7"))[:-5])
    await until(lambda: any(connection.path for connection in front.service.server.connections))
    client.transport.abortConnection()
    await client.end()
    await until(lambda: [line for line in said if "a notification cannot be read: it was incomplete" in line])
