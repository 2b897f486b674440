"""Tests of net.scanners.queue: round robin of clients and bounds of the requests waiting for one device."""

from tests.net.scanners.manualdevice import ManualDevice
from wsdgateway.net.scanners.queue import MAX_AHEAD, MAX_BESIDE, MAX_OF_CLIENT, MAX_QUEUE, MAX_URGENT
from wsdgateway.net.transport.errors import Busy, fault_for
from wsdgateway.scan.operations import CANCEL_JOB, GET_SCANNER_ELEMENTS, RENEW


def test_another_clients_request_is_served_after_the_running_one():
    device = ManualDevice()
    for number in range(MAX_OF_CLIENT + 1):
        device.ask(f"a{number}")
    device.connect()
    device.ask("b0", "b")
    device.answer()
    device.serve(3)
    assert device.sent == ["a0", "a1", "b0", "a2"]


def test_three_clients_and_the_gateway_take_turns():
    device = ManualDevice()
    for number in range(3):
        for client in ("a", "b", "c"):
            device.ask(f"{client}{number}", client)
        device.ask(f"own{number}", "", from_gateway=True)
    device.serve(12)
    assert device.sent == [f"{who}{number}" for number in range(3) for who in ("a", "b", "c", "own")]


def test_a_clients_share_of_the_queue_is_bounded():
    device = ManualDevice()
    for number in range(MAX_OF_CLIENT + 3):
        device.ask(f"a{number}")
    assert [name for name, _ in device.failed] == [f"a{MAX_OF_CLIENT + 1}", f"a{MAX_OF_CLIENT + 2}"]
    assert device.client.waiting == MAX_OF_CLIENT
    fault = fault_for(device.failed[0][1])
    assert fault.subcode == "wscn:ServerErrorTemporaryError" and fault.reason.startswith("The scanner is busy")


def test_an_unlimited_client_that_fills_the_queue_yields_to_others():
    device = ManualDevice()
    for number in range(MAX_QUEUE + 1):
        device.ask(f"a{number}", limited=False)
    device.ask("b0", "b")
    assert [name for name, _ in device.failed] == [f"a{MAX_QUEUE}"]
    assert device.client.waiting == MAX_QUEUE
    device.ask("a-more", limited=False)
    assert device.failed[-1][0] == "a-more"
    device.serve(3)
    assert device.sent == ["a0", "a1", "b0"]


def test_a_third_client_gets_room_in_a_queue_filled_by_two():
    device = ManualDevice()
    device.ask("first", "x")
    for number in range(MAX_OF_CLIENT):
        device.ask(f"a{number}", "a")
        device.ask(f"b{number}", "b")
    device.ask("c0", "c")
    assert len(device.failed) == 1 and isinstance(device.failed[0][1], Busy)
    device.serve(4)
    assert set(device.sent) == {"first", "a0", "b0", "c0"}


def test_the_gateways_own_requests_have_room_beside_a_full_queue():
    device = ManualDevice()
    for number in range(MAX_QUEUE + 1):
        device.ask(f"a{number}", limited=False)
    for number in range(MAX_BESIDE):
        device.ask(f"own{number}", "", from_gateway=True)
    assert not device.failed
    assert device.client.waiting == MAX_QUEUE + MAX_BESIDE


def test_urgent_requests_go_first_on_a_connection_of_their_own():
    device = ManualDevice()
    for number in range(20):
        device.ask(f"a{number}")
    device.connect()
    device.ask("cancel", "b", CANCEL_JOB)
    device.connect()
    assert device.sent == ["a0", "cancel"]
    device.ask("renew", "", RENEW, from_gateway=True)
    device.ask("again", "a", CANCEL_JOB)
    device.answer()
    device.serve(2)
    assert device.sent == ["a0", "cancel", "renew", "again"]


def test_a_flood_of_cancel_jobs_blocks_no_other_client():
    device = ManualDevice()
    device.ask("b0", "b")
    device.ask("b1", "b")
    device.connect()
    for number in range(MAX_URGENT + 3):
        device.ask(f"cancel{number}", "a", CANCEL_JOB)
    assert [name for name, _ in device.failed] == [f"cancel{MAX_URGENT + 1}", f"cancel{MAX_URGENT + 2}"]
    device.ask("cancel-c", "c", CANCEL_JOB)
    for _ in range(MAX_AHEAD + 4):
        device.connect_all()
        device.answer()
    assert "cancel-c" in device.sent[:4]
    assert "b1" in device.sent


def test_a_shared_read_takes_the_earlier_turn_of_its_clients():
    device = ManualDevice()
    for number in range(50):
        device.ask(f"a{number}")
    read = device.ask("read", operation=GET_SCANNER_ELEMENTS)
    device.connect()
    device.client.also_for(read, "b")
    device.client.also_for(read, "b")
    device.answer()
    device.serve(3)
    assert device.sent == ["a0", "a1", "read", "a2"]
