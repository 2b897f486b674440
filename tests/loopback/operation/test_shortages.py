"""The machine runs out of something: what needs it fails, everything else goes on, and it is over when it is over."""

import json
import os
import resource
import socket
import threading
from contextlib import contextmanager, suppress

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.loopback.clients import request
from tests.messages import ELEMENTS, get_job_elements, status_response, subscribe
from tests.peers import TIMEOUT, ask, connect, post
from tests.waiting import until
from wsdgateway.app.resourcelimits import CLIENTS_SHARE
from wsdgateway.config.sections import ScannerConfig
from wsdgateway.net.events import sinkpolicy
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of

PATH = "/front-desk/scan"


@contextmanager
def no_descriptors():
    """As many files are open as may be; `free` closes one of those that only fill up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield lambda: os.close(taken.pop())
    finally:
        for file in taken:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def last_line(path):
    return json.loads(path.read_text().splitlines()[-1]) if path.exists() and path.read_text() else None


@pytest_twisted.ensureDeferred
async def test_without_descriptors_who_is_connected_is_served_and_nobody_else_until_there_are_some(gateway, echo):
    service = await gateway(echo.url, scanner={"events": "off"})
    client = await connect(service.port)
    client.send(post(PATH, get_job_elements("1")))
    assert (await client.answer())[0].status == 200
    late = socket.socket()
    with no_descriptors():
        await deferToThread(late.connect, ("127.0.0.1", service.port))
        late.settimeout(TIMEOUT)
        assert await deferToThread(late.recv, 1) == b""  # taken by the reserve, and closed
        client.send(post(PATH, get_job_elements("1")))
        assert (await client.answer())[0].status == 200
    late.close()
    assert (await ask(service.port, PATH, get_job_elements("1")))[0].status == 200
    client.transport.abortConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_a_device_is_not_blamed_for_descriptors_that_are_missing_here(gateway, echo):
    service = await gateway(echo.url, scanner={"events": "off"})
    assert (await ask(service.port, PATH, ELEMENTS))[0].status == 200
    client = await connect(service.port)
    scanner = service.scanner
    scanner.device.connections.close_idle()
    await until(lambda: not len(scanner.device.connections))
    boot = scanner.bridge.table.boot
    with no_descriptors():
        for _ in range(5):  # more than the circuit breaker takes
            client.send(post(PATH, ELEMENTS))
            head, body = await client.answer()
            assert head.status == 500 and fault_of(read(body)) == "ServerErrorTemporaryError" and b"open files" in body
        assert scanner.device.reachable is True
    client.send(post(PATH, ELEMENTS))
    assert (await client.answer())[0].status == 200
    assert scanner.bridge.table.boot == boot, "it was taken for a restart of the device"
    client.transport.abortConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_the_exchange_log_is_written_again_when_there_are_descriptors(gateway, echo, tmp_path):
    path = tmp_path / "x.jsonl"
    service = await gateway(echo.url, scanner={"events": "off"}, exchange_log={"path": str(path)})
    client = await connect(service.port)
    with no_descriptors():
        client.send(post(PATH, b"<lost/>"))
        assert (await client.answer())[0].status == 400
        await until(lambda: service.recording.log.writer._background._missing)  # no count is public before it is back
    assert b'lines_total{outcome="dropped"} 1.0' in (await request(service.admin_port, b"/metrics"))[2]
    client.send(post(PATH, get_job_elements("1")))
    assert (await client.answer())[0].status == 200
    await until(lambda: last_line(path) is not None)
    assert last_line(path)["operation"] == "GetJobElements"
    client.transport.abortConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_a_sink_that_can_not_be_checked_is_to_be_tried_again(gateway, virtual, sink, monkeypatch):
    """Whether it is an address of ours takes a socket to find out; what is not known is not allowed."""
    scanner, listening = await virtual(), await sink()
    service = await gateway(scanner.scan_url)
    await until(lambda: service.scanner.bridge.table.listening)
    assert (await ask(service.port, PATH, subscribe(listening.url)))[0].status == 200
    [one] = service.scanner.bridge.subscriptions.all()

    def none_left(*family):
        raise OSError(24, "Too many open files")

    # Sockets run out inside the look at an address, which nothing public can bring about for this one alone.
    monkeypatch.setattr(sinkpolicy, "_can_bind", none_left)
    monkeypatch.setattr(service.sink_policy, "listeners", lambda: [("", listening.device.port)])
    monkeypatch.setattr(sinkpolicy, "_is_local", lambda ip: sinkpolicy._can_bind(ip))
    head, body = await ask(service.port, PATH, subscribe(listening.url))
    assert (head.status, fault_of(read(body))) == (500, "ServerErrorTemporaryError") and b"Too many open files" in body
    assert service.sink_policy.still_allows(one.notify_to, one.client)
    monkeypatch.undo()
    assert (await ask(service.port, PATH, subscribe(listening.url)))[0].status == 200


@pytest.mark.parametrize(("files", "connections"), [(100000, 2000), (1024, int(1024 * CLIENTS_SHARE))])
@pytest_twisted.ensureDeferred
async def test_clients_never_take_every_descriptor(gateway, device, monkeypatch, files, connections):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (files, files))
    service = await gateway(device.url, scanner={"events": "off"})
    assert service.server.limits.connections == connections


@pytest_twisted.ensureDeferred
async def test_a_name_that_hangs_keeps_nobody_else_waiting(gateway, device, monkeypatch, tmp_path):
    """Ten scanners whose names can't be looked up: as many as the reactor has threads."""
    release, really, asked = threading.Event(), socket.getaddrinfo, []

    def getaddrinfo(host, *arguments, **more):
        if host.endswith(".example"):
            asked.append(host)
            release.wait(TIMEOUT)
            return []
        return really(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("wsdgateway.net.transport.resolver.LOOKUP_SECONDS", 2.0)
    device.handle = lambda asked: asked.answer(status_response("1", "Completed", 1))
    path = tmp_path / "x.jsonl"
    names = [f"lost-{number}" for number in range(10)]
    service = await gateway(
        device.url.replace("127.0.0.1", "localhost"), scanner={"events": "off"},
        gateway={"state": f"sqlite:{tmp_path}/g.sqlite"}, exchange_log={"path": str(path)})
    try:
        for name in names:
            service.bridged.bridge(ScannerConfig(name, scan=f"http://{name}.example/scan")).start()
        waiting = [await connect(service.port) for _ in names]
        for client, name in zip(waiting, names, strict=True):
            client.send(post(f"/{name}/scan", ELEMENTS))
        assert (await ask(service.port, PATH, ELEMENTS))[0].status == 200
        await until(lambda: last_line(path) is not None)
        assert sorted(asked) == [f"{name}.example" for name in names]
        assert await service.store.finished("front-desk") == []
        for client in waiting:
            await client.until(lambda data: b"ServerErrorTemporaryError" in data)
            client.transport.abortConnection()
            await client.end()
    finally:
        await service.stopService()  # which does not wait for the names either
        release.set()
