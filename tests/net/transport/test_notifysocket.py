"""Tests of net.transport.notifysocket: messages, the variables of the environment, and the socket."""

import os
import socket

import pytest

from wsdgateway.net.transport.notifysocket import MAX_STATUS, NotifySocket, Supervisor, address_of, message, status


@pytest.mark.parametrize(("fields", "datagram"), [
    ({"READY": 1}, b"READY=1"),
    ({"RELOADING": 1, "MONOTONIC_USEC": 4558}, b"RELOADING=1\nMONOTONIC_USEC=4558"),
    ({"READY": 1, **status("3 of 4 scanners reachable")}, b"READY=1\nSTATUS=3 of 4 scanners reachable"),
    (status("one\nREADY=1\r\ntwo"), b"STATUS=one READY=1 two"),
    (status("Büro \udc80"), "STATUS=Büro \\udc80".encode()),
    (status("x" * 1000), b"STATUS=" + b"x" * MAX_STATUS)])
def test_messages(fields, datagram):
    assert message(**fields) == datagram


@pytest.mark.parametrize(("place", "address"), [
    ("/run/systemd/notify", "/run/systemd/notify"), ("@notify", "\0notify"), ("", None), ("@", None), ("/", None),
    ("vsock:2:1234", None), ("run/notify", None)])
def test_addresses(place, address):
    assert address_of(place) == address


@pytest.mark.parametrize(("variables", "supervisor"), [
    ({}, Supervisor()),
    ({"WATCHDOG_USEC": "3000000"}, Supervisor()),
    ({"NOTIFY_SOCKET": "@n"}, Supervisor("\0n")),
    ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "3000000"}, Supervisor("\0n", 3.0)),
    ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, Supervisor("\0n", 3.0)),
    ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}, Supervisor("\0n")),
    ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "0"}, Supervisor("\0n")),
    ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "soon"}, Supervisor("\0n"))])
def test_the_environment_of_process_7(variables, supervisor):
    environment = {**variables, "PATH": "/bin"}
    assert Supervisor.take_from(environment, 7) == supervisor
    assert environment == {"PATH": "/bin"}  # children of the process are not meant


def test_a_socket_of_an_unknown_kind_is_logged(said):
    assert Supervisor.take_from({"NOTIFY_SOCKET": "vsock:2:1"}, 7) == Supervisor()
    assert said == ["$NOTIFY_SOCKET = vsock:2:1: must be a path, or a name after @; systemd is told nothing"]


@pytest.mark.parametrize("is_abstract", [True, False])
def test_messages_arrive(tmp_path, is_abstract):
    address = f"\0wsdgateway-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.bind(address)
        peer.settimeout(10.0)
        sender = NotifySocket(address)
        sender.send(READY=1)
        assert peer.recv(100) == b"READY=1"
        sender.close()
        sender.send(READY=1)  # goes nowhere
    assert not sender.is_open


def test_a_failure_is_logged_once_until_a_message_can_be_sent(tmp_path, said):
    sender = NotifySocket(str(tmp_path / "notify"))
    for _ in range(3):
        sender.send(WATCHDOG=1)
    assert said == ["$NOTIFY_SOCKET: systemd cannot be told the state of the gateway: No such file or directory"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.bind(str(tmp_path / "notify"))
        sender.send(WATCHDOG=1)
    sender.send(WATCHDOG=1)
    assert len(said) == 2
    sender.close()


def test_without_an_address_nothing_is_sent():
    sender = NotifySocket(None)
    sender.send(READY=1)
    assert not sender.is_open
