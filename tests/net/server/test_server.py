"""Tests of net.server.server at its limit of connections: the longest idle one makes room (RFC 9112, 9.3 and 9.5)."""

from twisted.internet.address import IPv4Address, IPv6Address

from tests.httpserver import MemoryServer
from tests.net.server.test_connection import REQUEST
from wsdgateway.bridge.access.admission import MAX_REFUSED, Admission


def closed(transport):
    return transport.disconnecting


def refused(transport):
    return transport.value().startswith(b"HTTP/1.1 503 ")


def answered(server):
    protocol, transport = server.connect()
    protocol.dataReceived(REQUEST)
    assert transport.value().startswith(b"HTTP/1.1 200 ")
    return protocol, transport


def test_the_longest_idle_connection_is_closed_for_a_new_one():
    server = MemoryServer(connections=3)
    first, second, third = (answered(server) for _ in range(3))
    first[0].dataReceived(REQUEST)  # now the second one has been idle longest
    fourth = answered(server)
    assert [closed(transport) for _, transport in (first, second, third, fourth)] == [False, True, False, False]
    fifth = answered(server)
    assert closed(third[1]) and not refused(fifth[1])
    assert not server.refusals


def test_each_new_connection_closes_one_idle_connection():
    server = MemoryServer(connections=10)
    idle = [answered(server) for _ in range(10)]
    new = [server.connect() for _ in range(4)]
    assert [closed(transport) for _, transport in idle] == [True] * 4 + [False] * 6
    assert not any(refused(transport) for _, transport in new)


def test_busy_and_receiving_connections_are_not_closed():
    exchanges = []
    server = MemoryServer(lambda exchange: exchanges.append(exchange) if exchange.request.path == b"/slow" else (
        exchange.answer(200, b"")), connections=4)
    busy, asking, reading, fresh = server.connect(), answered(server), answered(server), server.connect()
    busy[0].dataReceived(REQUEST.replace(b"/", b"/slow", 1))
    asking[0].dataReceived(REQUEST[:10])
    reading[0].pauseProducing()
    reading[0].dataReceived(REQUEST)
    everybody = (busy, asking, reading, fresh)
    _, late = server.connect()
    assert refused(late) and len(server.refusals) == 1
    assert not any(closed(transport) for _, transport in everybody)
    exchanges[0].answer(200, b"")
    assert not refused(server.connect()[1])
    assert closed(busy[1]) and not any(closed(transport) for _, transport in everybody[1:])


def test_a_client_that_has_received_its_answer_is_idle():
    server = MemoryServer(connections=1)
    protocol, transport = answered(server)
    protocol.pauseProducing()
    protocol.dataReceived(REQUEST)
    protocol.resumeProducing()
    assert not refused(server.connect()[1])
    assert closed(transport)


def test_closed_connections_are_forgotten():
    server = MemoryServer(connections=2)
    for protocol, _ in [answered(server), answered(server)]:
        protocol.connectionLost()
    answered(server)
    gone = answered(server)
    server.factory.drain()
    assert closed(gone[1])
    assert server.factory.arrived(server.factory.buildProtocol(None)) is Admission.REFUSED


def test_the_number_of_answered_refusals_is_bounded():
    server = MemoryServer(connections=1)
    server.connect()
    late = [server.connect()[1] for _ in range(MAX_REFUSED + 20)]
    assert [refused(transport) for transport in late] == [True] * MAX_REFUSED + [False] * 20
    assert all(transport.disconnected for transport in late[MAX_REFUSED:])
    assert len(server.refusals) == MAX_REFUSED


def connections(server, address, count):
    return [server.connect(IPv4Address("TCP", address, 50000)) for _ in range(count)]


def test_the_client_with_most_connections_makes_room_if_none_is_idle():
    server = MemoryServer(connections=6)
    greedy = connections(server, "10.0.0.1", 4)
    for protocol, _ in greedy:
        protocol.dataReceived(REQUEST[:10])
    modest = connections(server, "10.0.0.2", 2)
    [(_, late)] = connections(server, "10.0.0.3", 1)
    [(_, other)] = connections(server, "10.0.0.2", 1)
    assert not refused(late) and not refused(other) and not server.denied
    assert [transport.disconnected for _, transport in greedy] == [True, True, False, False]
    assert not any(transport.disconnected for _, transport in modest)


def test_a_client_cannot_displace_another_with_equally_many_connections():
    server = MemoryServer(connections=6)
    both = connections(server, "10.0.0.1", 3) + connections(server, "10.0.0.2", 3)
    [(_, late)] = connections(server, "10.0.0.2", 1)
    assert refused(late) and server.denied == ["connections"]
    assert not any(transport.disconnected for _, transport in both)


def test_connections_being_answered_make_no_room():
    exchanges = []
    server = MemoryServer(exchanges.append, connections=3)
    (busy, busy_transport), (reading, reading_transport), (_, waiting) = connections(server, "10.0.0.1", 3)
    busy.dataReceived(REQUEST)
    reading_transport.dataBuffer = b"the end of an image"
    reading.dataReceived(REQUEST[:10])
    late = [transport for _, transport in connections(server, "10.0.0.2", 1) + connections(server, "10.0.0.3", 1)]
    assert [refused(transport) for transport in late] == [False, True]
    assert waiting.disconnected and not (busy_transport.disconnected or reading_transport.disconnected)


def test_each_client_has_a_limit_of_connections():
    server = MemoryServer(client_connections=2)
    one, other = IPv4Address("TCP", "10.0.0.1", 50000), IPv4Address("TCP", "10.0.0.2", 50000)
    mine = [server.connect(one) for _ in range(3)]
    assert [refused(transport) for _, transport in mine] == [False, False, True]
    assert b"Too many connections" in mine[2][1].value()
    assert not refused(server.connect(other)[1])
    assert server.denied == ["connections"]
    for protocol, _ in mine:
        protocol.connectionLost()
    assert not refused(server.connect(one)[1])
    assert server.factory.connections.clients == 2


def test_an_ipv6_network_is_one_client():
    server = MemoryServer(client_connections=1)
    addresses = [IPv6Address("TCP", f"2001:db8::{number}", 50000) for number in (1, 2)]
    assert [refused(server.connect(address)[1]) for address in addresses] == [False, True]
