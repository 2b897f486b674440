"""Shortages of the machine: only the affected operations fail, and they recover when the shortage is over."""

import json
import os
import resource
import socket
import threading
from contextlib import contextmanager, suppress

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.loopback.gateways import sample
from tests.messages import ELEMENTS, get_job_elements, status_response, subscribe
from tests.peers import TIMEOUT, ask, connect, post
from tests.waiting import until
from wsdgateway.app.resourcelimits import CLIENTS_SHARE
from wsdgateway.config.sections import ScannerConfig
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of

PATH = "/front-desk/scan"


@contextmanager
def no_descriptors():
    """Opens as many files as the process may; the value is a function that closes one of them."""
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
async def test_without_descriptors_only_connected_clients_are_served(gateway, echo):
    service = await gateway(echo.url, scanner={"events": "off"})
    client = await connect(service.port)
    client.send(post(PATH, get_job_elements("1")))
    assert (await client.answer())[0].status == 200
    late = socket.socket()
    with no_descriptors():
        await deferToThread(late.connect, ("127.0.0.1", service.port))
        late.settimeout(TIMEOUT)
        assert await deferToThread(late.recv, 1) == b""  # accepted with the reserved descriptor, and closed
        client.send(post(PATH, get_job_elements("1")))
        assert (await client.answer())[0].status == 200
    late.close()
    assert (await ask(service.port, PATH, get_job_elements("1")))[0].status == 200
    client.transport.abortConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_a_lack_of_descriptors_does_not_open_the_circuit(gateway, echo):
    service = await gateway(echo.url, scanner={"events": "off"})
    assert (await ask(service.port, PATH, ELEMENTS))[0].status == 200
    client = await connect(service.port)
    scanner = service.scanner
    scanner.device.connections.close_idle()
    await until(lambda: not len(scanner.device.connections))
    boot = scanner.bridge.table.boot
    with no_descriptors():
        for _ in range(5):  # more than the threshold of the circuit breaker
            client.send(post(PATH, ELEMENTS))
            head, body = await client.answer()
            assert head.status == 500 and fault_of(read(body)) == "ServerErrorTemporaryError" and b"open files" in body
        assert scanner.device.reachable is True
    client.send(post(PATH, ELEMENTS))
    assert (await client.answer())[0].status == 200
    assert scanner.bridge.table.boot == boot, "the failures must not count as a restart of the device"
    client.transport.abortConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_the_exchange_log_resumes_when_there_are_descriptors(gateway, echo, tmp_path):
    path = tmp_path / "x.jsonl"
    service = await gateway(echo.url, scanner={"events": "off"}, exchange_log={"path": str(path)})
    client = await connect(service.port)
    with no_descriptors():
        client.send(post(PATH, b"<lost/>"))
        assert (await client.answer())[0].status == 400
        await until(lambda: sample(service, "wsdgateway_exchange_log_lines_total", outcome="dropped") == 1)
    client.send(post(PATH, get_job_elements("1")))
    assert (await client.answer())[0].status == 200
    await until(lambda: last_line(path) is not None)
    assert last_line(path)["operation"] == "GetJobElements"
    client.transport.abortConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_a_sink_that_cannot_be_checked_gets_a_temporary_error(gateway, virtual, sink, monkeypatch):
    """The check whether the sink is the gateway's own address needs a socket; if it fails, the sink is refused."""
    scanner, listening = await virtual(), await sink()
    service = await gateway(scanner.scan_url)
    await until(lambda: service.scanner.bridge.table.listening)
    assert (await ask(service.port, PATH, subscribe(listening.url)))[0].status == 200
    [one] = service.scanner.bridge.subscriptions.all()

    def none_left(ip):
        raise OSError(24, "Too many open files")

    # Only a patch makes sockets run out for the check alone.
    monkeypatch.setattr(service.sink_policy, "is_local", none_left)
    monkeypatch.setattr(service.sink_policy, "listeners", lambda: [("", listening.device.port)])
    head, body = await ask(service.port, PATH, subscribe(listening.url))
    assert (head.status, fault_of(read(body))) == (500, "ServerErrorTemporaryError") and b"Too many open files" in body
    assert service.sink_policy.still_allows(one.notify_to, one.client)
    monkeypatch.undo()
    assert (await ask(service.port, PATH, subscribe(listening.url)))[0].status == 200


@pytest.mark.parametrize(("files", "connections"), [(100000, 2000), (1024, int(1024 * CLIENTS_SHARE))])
@pytest_twisted.ensureDeferred
async def test_clients_use_only_their_share_of_file_descriptors(gateway, device, monkeypatch, files, connections):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (files, files))
    service = await gateway(device.url, scanner={"events": "off"})
    assert service.server.limits.connections == connections


@pytest_twisted.ensureDeferred
async def test_hanging_name_lookups_delay_no_other_client(gateway, device, monkeypatch, tmp_path):
    """Ten scanners have names whose lookup hangs: as many as the reactor has threads."""
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
        await service.stopService()  # does not wait for the names either
        release.set()
