"""Load on a scanner: clients share equal requests, and cached answers are replaced when they may be outdated."""

import re

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred, gatherResults

from tests.loopback.gateways import sample
from tests.messages import (
    SCAN,
    announcement,
    create_scan_job,
    created_job,
    envelope,
    fault,
    get_job_elements,
    get_scanner_elements,
    job_request,
    scanner_elements,
    status_response,
)
from tests.peers import ask, connect, post
from tests.waiting import until
from wsdgateway.bridge.events.intake import read_notification
from wsdgateway.bridge.events.upstream_core import RECHECK
from wsdgateway.scan.jobstatus import read_summaries
from wsdgateway.scan.operations import GET_SCANNER_ELEMENTS
from wsdgateway.scan.scannerelements import read_elements
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of

PATH = "/front-desk/scan"
OFF = {"events": "off"}
DESCRIPTION = get_scanner_elements("ScannerDescription", message_id="urn:uuid:mine")
STATUS = get_scanner_elements("ScannerStatus")
ACTIVE = envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>")


def asked(service, operation="GetScannerElements"):
    """Returns how many requests the scanner got on behalf of clients, whatever their outcome."""
    return sample(service, "wsdgateway_device_requests_total", operation=operation)


async def listening(service):
    """Waits until the gateway's subscription is held."""
    await until(lambda: service.scanner.bridge.table.listening)


async def notify(service, scanner, event):
    """Lets the scanner publish an event, and waits until the gateway has received it."""
    scanner.device.subscribers.publish(event, f"<wscn:{event}/>")
    await until(lambda: sample(service, "wsdgateway_events_total", event=event))


async def restarted(service, scanner):
    """Lets the scanner forget everything, and waits until the gateway has noticed and subscribed again."""
    table = service.scanner.bridge.table
    boot = table.boot
    scanner.device.forget()
    service.clock.advance(RECHECK)
    service.scanner.subscriptions.check()
    await until(lambda: table.boot > boot and table.listening)


@pytest_twisted.ensureDeferred
async def test_equal_reads_of_a_hundred_clients_are_one_request(gateway, virtual):
    scanner = await virtual()
    service = await gateway(scanner.scan_url)
    await listening(service)
    before = asked(service)
    clients = [await connect(service.port) for _ in range(100)]
    for number, client in enumerate(clients):
        client.send(post(PATH, get_scanner_elements("ScannerDescription", message_id=f"urn:uuid:{number}")))
    answers = [read((await client.answer())[1]) for client in clients]
    assert [answer.relates_to for answer in answers] == [f"urn:uuid:{number}" for number in range(100)]
    assert len({answer.message_id for answer in answers}) == 100
    assert all("ScannerDescription" in read_elements(answer.body) for answer in answers)
    assert asked(service) == before + 1
    kept = {outcome: sample(service, "wsdgateway_kept_answers_total", outcome=outcome)
            for outcome in ("asked", "shared", "kept")}
    assert kept["asked"] == 1 and sum(kept.values()) == 100
    assert sample(service, "wsdgateway_requests_total", operation="GetScannerElements", source="local") == 99
    for client in clients:
        client.transport.abortConnection()
        await client.end()


@pytest.mark.parametrize(("raw", "happens"), [
    (DESCRIPTION, "ScannerElementsChangeEvent"), (STATUS, "ScannerElementsChangeEvent"),
    (STATUS, "ScannerStatusSummaryEvent"), (STATUS, "ScannerStatusConditionEvent"),
    (DESCRIPTION, "a reboot"), (STATUS, "a reboot"), (ACTIVE, "a reboot")])
@pytest_twisted.ensureDeferred
async def test_outdated_answers_are_requested_again(gateway, virtual, raw, happens):
    scanner = await virtual()
    service = await gateway(scanner.scan_url, cache={"poll_interval": 600.0, "elements": 600.0})
    await listening(service)
    operation = "GetActiveJobs" if raw is ACTIVE else "GetScannerElements"
    before = asked(service, operation)
    for _ in range(3):
        assert (await ask(service.port, PATH, raw))[0].status == 200
    assert asked(service, operation) == before + 1
    if happens == "a reboot":
        await restarted(service, scanner)
    else:
        await notify(service, scanner, happens)
    for _ in range(3):
        assert (await ask(service.port, PATH, raw))[0].status == 200
    assert asked(service, operation) == before + 2


@pytest_twisted.ensureDeferred
async def test_the_status_after_each_step_of_a_scan_is_read_from_the_scanner(gateway, device):
    service = await gateway(device.url, scanner=OFF, cache={"poll_interval": 600.0})
    steps = []

    def handle(request):
        operation = re.search(rb"/scan/(\w+)</wsa:Action>", request.request.body)[1].decode()
        steps.append(operation)
        answers = {"GetScannerElements": scanner_elements("ScannerStatus", note=str(len(steps))),
                   "CreateScanJob": created_job("5"), "CancelJob": job_request("CancelJobResponse", "5")}
        if operation == "RetrieveImage":
            request.answer(b"\xff\xd8" * 100, content_type=b"image/jpeg")
        else:
            request.answer(answers[operation])

    device.handle = handle
    for body in (None, create_scan_job(), job_request("RetrieveImage", "5"), job_request("CancelJob", "5")):
        if body is not None:
            assert (await ask(service.port, PATH, body))[0].status == 200
        for _ in range(3):
            _, answer = await ask(service.port, PATH, STATUS)
            assert b">%d</wscn:ScannerStatus>" % len(steps) in answer
    assert steps == ["GetScannerElements", "CreateScanJob", "GetScannerElements", "RetrieveImage", "GetScannerElements",
                     "CancelJob", "GetScannerElements"]


@pytest_twisted.ensureDeferred
async def test_a_job_list_is_read_from_the_scanner_and_outdated_by_events(gateway, virtual):
    scanner = await virtual()
    service = await gateway(scanner.scan_url, cache={"poll_interval": 600.0})
    await listening(service)

    async def listed():
        _, answer = await ask(service.port, PATH, ACTIVE)
        return len(read_summaries(read(answer).body, "ActiveJobs"))

    assert [await listed() for _ in range(3)] == [0, 0, 0]
    assert asked(service, "GetActiveJobs") == 1
    await ask(service.port, PATH, create_scan_job())
    assert [await listed() for _ in range(3)] == [1, 1, 1]
    assert sample(service, "wsdgateway_kept_answers_total", operation="GetActiveJobs", outcome="kept") >= 3
    scanner.device.stop()


@pytest_twisted.ensureDeferred
async def test_without_the_cache_every_request_reaches_the_scanner(gateway, device):
    service = await gateway(device.url, scanner={**OFF, "cache": False})
    device.handle = lambda request: request.answer(scanner_elements("ScannerDescription"))
    for _ in range(5):
        assert (await ask(service.port, PATH, DESCRIPTION))[0].status == 200
    assert len(device.requests) == 5
    assert sample(service, "wsdgateway_kept_answers_total", outcome="asked") == 5


@pytest_twisted.ensureDeferred
async def test_an_answer_in_pieces_is_shared_whole(gateway, device):
    """The answer is of a kind that is streamed if it is not shared."""
    service = await gateway(device.url, scanner=OFF)
    clients = [await connect(service.port) for _ in range(2)]
    for client in clients:
        client.send(post(PATH, DESCRIPTION))
    request = await device.next()
    request.write(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/related\r\nContent-Length: 10\r\n\r\n12345")
    request.write(b"67890")
    assert [(await client.answer())[1] for client in clients] == [b"1234567890"] * 2
    assert len(device.requests) == 1
    for client in clients:
        client.transport.abortConnection()
        await client.end()


@pytest_twisted.ensureDeferred
async def test_waiting_clients_share_a_failure_and_the_next_request_is_sent(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    clients = [await connect(service.port) for _ in range(3)]
    for client in clients:
        client.send(post(PATH, DESCRIPTION))
    (await device.next()).answer(b"busy", b"503 Busy", b"text/plain")
    assert [(await client.answer())[0].status for client in clients] == [503] * 3
    clients[0].send(post(PATH, DESCRIPTION))
    (await device.next()).answer(scanner_elements("ScannerDescription"))
    assert (await clients[0].answer())[0].status == 200
    for client in clients:
        client.transport.abortConnection()
        await client.end()


@pytest_twisted.ensureDeferred
async def test_requests_above_the_scanners_rate_wait(gateway, device):
    service = await gateway(device.url, scanner={**OFF, "cache": False, "max_rate": 2, "max_connections": 10})
    device.handle = lambda request: request.answer(scanner_elements("ScannerDescription"))
    answers = await gatherResults([ensureDeferred(ask(service.port, PATH, DESCRIPTION)) for _ in range(5)])
    assert [head.status for head, _ in answers] == [200] * 5
    assert 1 <= sample(service, "wsdgateway_device_delayed_total") <= 3
    assert sample(service, "wsdgateway_device_queue") == 0


@pytest_twisted.ensureDeferred
async def test_rate_and_cache_can_be_changed_at_run_time(gateway, device):
    service = await gateway(device.url, scanner={**OFF, "cache": False, "max_rate": 0.1, "max_connections": 10})
    clients = [await connect(service.port) for _ in range(3)]
    for client in clients:
        client.send(post(PATH, DESCRIPTION))
    (await device.next()).answer(scanner_elements("ScannerDescription"))
    scanner = service.scanner
    await until(lambda: sample(service, "wsdgateway_device_queue") == 2)
    device.handle = lambda request: request.answer(scanner_elements("ScannerDescription"))
    section = attrs.evolve(scanner.options.section, cache=True, max_rate=0.0)
    scanner.adjust(attrs.evolve(scanner.options, section=section))
    assert [(await client.answer())[0].status for client in clients] == [200] * 3
    for _ in range(3):
        await ask(service.port, PATH, DESCRIPTION)
    assert len(device.requests) == 4  # three for the waiting clients, and one for all others
    for client in clients:
        client.transport.abortConnection()
        await client.end()


@pytest_twisted.ensureDeferred
async def test_the_gateways_own_requests_count_for_the_rate(gateway, device):
    service = await gateway(device.url, scanner={**OFF, "max_rate": 1})
    device.handle = lambda request: request.answer(scanner_elements("ScannerDescription"))
    await service.scanner.requests.send(device.url, GET_SCANNER_ELEMENTS, DESCRIPTION)
    assert (await ask(service.port, PATH, ACTIVE))[0].status == 200
    assert sample(service, "wsdgateway_device_delayed_total") == 1


@pytest.mark.parametrize(("headers", "edit"), [
    (b"Authorization: Basic c2VjcmV0\r\n", lambda raw: raw), (b"Range: bytes=0-1\r\n", lambda raw: raw),
    (b"X-Vendor: 1\r\n", lambda raw: raw),
    (b"", lambda raw: raw.replace(b"http://gateway.test:5357/front-desk/scan", b"urn:nonsense")),
    (b"", lambda raw: raw.replace(b"<soap:Header>", b'<soap:Header><v:token xmlns:v="urn:v">1</v:token>')),
    (b"", lambda raw: re.sub(rb"<wsa:MessageID>.*?</wsa:MessageID>", b"", raw))])
@pytest_twisted.ensureDeferred
async def test_the_answer_to_an_odd_request_is_not_shared(gateway, device, headers, edit):
    service = await gateway(device.url, scanner=OFF)
    odd = edit(DESCRIPTION)
    assert headers or odd != DESCRIPTION
    refused = ensureDeferred(ask(service.port, PATH, odd, headers=headers))
    first = await device.next()
    usual = [ensureDeferred(ask(service.port, PATH, DESCRIPTION)) for _ in range(2)]
    second = await device.next()
    first.answer(fault("wscn:InvalidArgs"), b"400 Bad Request")
    assert (await refused)[0].status == 400
    second.answer(scanner_elements("ScannerDescription", relates_to="urn:uuid:mine"))
    assert {(await one)[0].status for one in usual} == {200}
    assert (await ask(service.port, PATH, DESCRIPTION))[0].status == 200
    assert len(device.requests) == 2


@pytest_twisted.ensureDeferred
async def test_the_answer_to_an_odd_job_read_is_not_shared(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    body = get_job_elements("7")
    refused = ensureDeferred(ask(service.port, PATH, body, headers=b"Authorization: Basic c2VjcmV0\r\n"))
    first = await device.next()
    usual = ensureDeferred(ask(service.port, PATH, body))
    second = await device.next()
    first.answer(fault("wscn:ClientErrorInvalidJobToken"), b"400 Bad Request")
    assert (await refused)[0].status == 400
    second.answer(status_response("7"))
    assert (await usual)[0].status == 200


@pytest_twisted.ensureDeferred
async def test_a_read_outdated_twice_by_events_is_answered(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    reading = ensureDeferred(ask(service.port, PATH, STATUS))
    for _ in range(2):
        asked_now = await device.next()
        service.scanner.bridge.notifications.overheard(
            read_notification(announcement("ScannerStatusSummaryEvent")), 0.0)
        asked_now.answer(scanner_elements("ScannerStatus"))
    assert (await reading)[0].status == 200
    assert len(device.requests) == 2


def job(number):
    """Returns a read that no other client makes."""
    return get_job_elements(str(number))


@pytest_twisted.ensureDeferred
async def test_a_client_with_a_hundred_requests_delays_another_client_by_one(gateway, device):
    """The two clients have two addresses of this host, which is not limited by default."""
    service = await gateway(device.url, scanner={**OFF, "cache": False, "max_connections": 1})
    greedy = [await connect(service.port) for _ in range(100)]
    for number, client in enumerate(greedy):
        client.send(post(PATH, job(number)))
    running = await device.next()
    await until(lambda: sample(service, "wsdgateway_device_queue") == 99)
    modest = await connect(service.port, source="127.0.0.2")
    modest.send(post(PATH, job("modest")))
    await until(lambda: sample(service, "wsdgateway_device_queue") == 100)
    order = []

    def handle(request):
        order.append(re.search(rb"JobId>(\w+)<", request.request.body)[1])
        request.answer(status_response("0"))

    device.handle = handle
    running.answer(status_response("0"))
    for client in (modest, *greedy):
        assert (await client.answer())[0].status == 200
    assert len(order) == 100 and b"modest" in order[:2]
    for client in (*greedy, modest):
        client.transport.abortConnection()
        await client.end()


@pytest_twisted.ensureDeferred
async def test_a_read_shared_by_two_clients_takes_the_earlier_turn(gateway, device):
    service = await gateway(device.url, scanner={**OFF, "max_connections": 1})
    greedy = [await connect(service.port) for _ in range(20)]
    for number, client in enumerate(greedy[:-1]):
        client.send(post(PATH, job(number)))
    running = await device.next()
    await until(lambda: sample(service, "wsdgateway_device_queue") == 18)
    greedy[-1].send(post(PATH, DESCRIPTION))
    await until(lambda: sample(service, "wsdgateway_device_queue") == 19)
    modest = await connect(service.port, source="127.0.0.2")
    modest.send(post(PATH, DESCRIPTION))
    await until(lambda: sample(service, "wsdgateway_kept_answers_total", outcome="shared") == 1)
    running.answer(status_response("0"))
    (await device.next()).answer(status_response("1"))
    (await device.next()).answer(scanner_elements("ScannerDescription"))
    assert (await modest.answer())[0].status == (await greedy[-1].answer())[0].status == 200
    for client in (*greedy, modest):
        client.transport.abortConnection()
        await client.end()


@pytest_twisted.ensureDeferred
async def test_requests_that_time_out_in_the_queue_get_a_busy_fault_and_do_not_mark_the_scanner_unreachable(
        gateway, device):
    service = await gateway(device.url, scanner={**OFF, "cache": False, "max_connections": 1, "timeout": 0.5})
    device.handle = lambda request: request.answer(status_response("0"))
    assert (await ask(service.port, PATH, job("first")))[0].status == 200
    troubles, service.scanner.check = [], lambda **_: troubles.append(1)  # called after each trouble
    held = []
    device.handle = held.append
    scanning = await connect(service.port)
    scanning.send(post(PATH, job_request("RetrieveImage", "5")))
    await until(lambda: len(held) == 1)
    held[0].write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 10\r\n\r\n12345")
    clients = [await connect(service.port) for _ in range(40)]
    for number, client in enumerate(clients):
        client.send(post(PATH, job(number)))
    for client in clients:
        head, answer = await client.answer()
        assert (head.status, fault_of(read(answer))) == (500, "ServerErrorTemporaryError")
        assert b"The scanner is busy" in answer
    assert len(device.requests) == 2
    held[0].write(b"67890")
    assert (await scanning.answer())[1] == b"1234567890"
    device.handle = lambda request: request.answer(status_response("0"))
    assert (await ask(service.port, PATH, job("last")))[0].status == 200
    assert service.scanner.device.reachable is True
    assert troubles == []
    for client in (*clients, scanning):
        client.transport.abortConnection()
        await client.end()


@pytest_twisted.ensureDeferred
async def test_an_image_abandoned_by_its_client_is_not_a_failure_of_the_scanner(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    troubles, service.scanner.check = [], lambda **_: troubles.append(1)  # called after each trouble
    scanning = await connect(service.port)
    scanning.send(post(PATH, job_request("RetrieveImage", "5")))
    asked_now = await device.next()
    asked_now.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 10\r\n\r\n12345")
    await scanning.until(lambda data: b"12345" in data)
    scanning.transport.abortConnection()
    await scanning.end()
    await device.until_lost(asked_now)
    assert sample(service, "wsdgateway_device_requests_total", operation="RetrieveImage", outcome="ok") == 1
    assert sample(service, "wsdgateway_device_requests_total", outcome="error") == 0
    assert troubles == []
