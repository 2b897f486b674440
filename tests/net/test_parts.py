"""What a connection of a client does, and when."""

from tests.doors import Door
from wsdgateway.http.requests import Refusal

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


def test_a_date_is_told():
    protocol, transport = Door().connect()
    protocol.dataReceived(REQUEST)
    assert b"\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n" in transport.value()


def test_while_one_answer_is_awaited_the_next_request_waits_unread():
    turns = []
    protocol, transport = Door(turns.append).connect()
    protocol.dataReceived(REQUEST * 3)
    assert len(turns) == 1
    assert transport.producerState == "paused"
    for _ in range(3):
        turns[-1].answer(200, b"x")
    assert len(turns) == 3
    assert transport.value().count(b"HTTP/1.1 200 OK") == 3
    assert transport.producerState == "producing"


def test_a_slow_body_ends_with_408_and_a_running_answer_is_not_hurried():
    door, turns = Door(lambda turn: turns.append(turn), header_timeout=5.0, keepalive_timeout=7.0), []
    slow, slow_transport = door.connect()
    slow.dataReceived(REQUEST[:-1])
    busy, busy_transport = door.connect()
    busy.dataReceived(REQUEST)
    door.reactor.pump([1.0] * 60)
    assert slow_transport.value().startswith(b"HTTP/1.1 408 ")
    assert door.refusals == [Refusal(408, "The request took too long.")]
    assert not busy_transport.disconnecting
    turns[0].answer(200, b"")
    door.reactor.pump([1.0] * 8)
    assert busy_transport.disconnecting


def test_the_clock_of_a_new_request_begins_with_its_first_byte():
    door = Door(header_timeout=5.0, keepalive_timeout=60.0)
    protocol, transport = door.connect()
    protocol.dataReceived(REQUEST)
    door.reactor.pump([1.0] * 50)
    protocol.dataReceived(REQUEST[:10])
    door.reactor.pump([1.0] * 4)
    assert not getattr(transport, "half", False)
    door.reactor.pump([1.0] * 2)
    assert b"HTTP/1.1 408 " in transport.value()
    assert transport.half
    door.reactor.pump([1.0] * 3)
    assert transport.disconnecting or transport.disconnected
