"""A thousand idle clients, a hundred active ones, and slow ones."""

import gc
import resource
from weakref import WeakSet

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred, gatherResults

from tests.messages import ELEMENTS, get_job_elements, status_response
from tests.peers import connect, post
from tests.waiting import until

IDLE, ACTIVE, SLOW, ROUNDS = 1000, 100, 50, 10
PATH = "/front-desk/scan"


async def connect_all(count, port):
    """Opens so many connections, in groups that fit a listener's backlog."""
    clients = []
    for start in range(0, count, 40):
        clients += await gatherResults([ensureDeferred(connect(port)) for _ in range(min(40, count - start))])
    return clients


async def goes_away(clients):
    for client in clients:
        client.transport.abortConnection()
    for client in clients:
        await client.end()


@pytest_twisted.ensureDeferred
async def test_active_clients_are_served_beside_a_thousand_idle_and_slow_ones(gateway, device):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4 * IDLE:
        pytest.skip(f"the hard limit of open files (ulimit -Hn) must be at least {4 * IDLE}")
    device.handle = lambda asked: asked.answer(status_response("1", "Completed", 1))
    service = await gateway(device.url, scanner={"events": "off"}, limits={"header_timeout": 3.0})

    async def served(count):
        """Opens so many connections; each has made a request, in time even if opening all of them takes long."""
        clients = []
        for start in range(0, count, 40):
            group = await connect_all(min(40, count - start), service.port)
            for client in group:
                client.send(post(PATH, get_job_elements("1")))
            for client in group:
                assert (await client.answer())[0].status == 200
            clients += group
        return clients

    idle, active = await served(IDLE), await served(ACTIVE)
    slow = await connect_all(SLOW, service.port)
    for client in slow:
        client.send(post(PATH, b"x" * 100)[:-50])
    await until(lambda: len(service.server.connections) == IDLE + SLOW + ACTIVE)
    assert service.server.connections.idle == IDLE + ACTIVE

    async def work(client):
        for number in range(ROUNDS):
            client.send(post(PATH, get_job_elements("1") if number % 5 else ELEMENTS))
            assert (await client.answer())[0].status == 200

    await gatherResults([ensureDeferred(work(client)) for client in active])
    for client in slow:
        assert (await client.end()).startswith(b"HTTP/1.1 408 ")
    assert not any(client.is_closed for client in idle)
    for client in idle:
        client.send(post(PATH, get_job_elements("1")))
    for client in idle:
        assert (await client.answer())[0].status == 200
    gone = WeakSet(service.server.connections)
    gc.disable()
    try:
        await goes_away([*idle, *active])
        await until(lambda: not service.server.connections)
        assert not service.server.connections.idle
        await until(lambda: not gone)
    finally:
        gc.enable()


@pytest_twisted.ensureDeferred
async def test_above_the_limit_idle_connections_make_room_and_others_stay(gateway, device):
    device.handle = lambda asked: asked.answer(status_response("1", "Completed", 1))
    service = await gateway(device.url, scanner={"events": "off"}, limits={"connections": 100})
    working = await connect_all(20, service.port)  # they have not sent a request yet
    idle = await connect_all(80, service.port)
    for client in idle:
        client.send(post(PATH, get_job_elements("1")))
        assert (await client.answer())[0].status == 200
    new = await connect_all(50, service.port)
    for client in idle[:50]:
        assert await client.end() == b""
    for client in (*working, *new, *idle[50:]):
        client.send(post(PATH, get_job_elements("1")))
        assert (await client.answer())[0].status == 200
    await goes_away([*working, *new, *idle[50:]])
