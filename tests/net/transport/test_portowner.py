"""Tests of net.transport.portowner: the process that uses a port, from a /proc of the test and from the real one."""

import os
import socket

import pytest

from wsdgateway.net.transport.portowner import owner_of

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LINE = "   0: {} {} {} 00000000:00000000 00:00000000 00000000  {} 0 {} 1 0000 100 0 0 10 0\n"
LOOPBACK, EVERY = "0100007F", "00000000"
PEER = f"{EVERY}:0000"


@pytest.fixture
def proc(tmp_path):
    """Makes a /proc with sockets (address, state, uid, inode) of port 5357, and processes (number, name, inode)."""

    def make(sockets, processes=(), *, version=""):
        table = tmp_path / "self" / "net" / f"tcp{version}"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(HEAD + "".join(LINE.format(f"{address}:14ED", PEER, state, uid, inode)
                                        for address, state, uid, inode in sockets))
        for number, name, inode in processes:
            (tmp_path / str(number) / "fd").mkdir(parents=True)
            (tmp_path / str(number) / "fd" / "3").symlink_to(f"socket:[{inode}]")
            (tmp_path / str(number) / "comm").write_text(f"{name}\n")
        return tmp_path

    return make


def test_the_process_that_listens_is_named(proc):
    made = proc([(EVERY, "0A", 0, 77)], [(11, "sh", 5), (812, "wsdd", 77)])
    assert owner_of("", 5357, made) == owner_of("192.0.2.5", 5357, made) == "wsdd (process 812)"
    assert owner_of("", 5358, made) is None


def test_connections_and_other_addresses_are_no_conflict(proc):
    made = proc([(EVERY, "01", 0, 77), (LOOPBACK, "0A", 0, 78)], [(812, "wsdd", 77), (813, "other", 78)])
    assert owner_of("192.0.2.5", 5357, made) is None
    assert owner_of("127.0.0.1", 5357, made) == owner_of("", 5357, made) == "other (process 813)"


def test_of_a_process_of_another_user_the_user_is_named(proc):
    made = proc([(EVERY, "0A", 0, 77)])
    assert owner_of("", 5357, made) == "a process of the user root: ss -ltnp, as root, shows which"
    made = proc([(EVERY, "0A", 4294967, 77)])
    assert owner_of("", 5357, made).startswith("a process of the user 4294967: ")
    made = proc([(EVERY, "0A", 65534, 77)])  # as PrivateUsers of the unit shows most users
    assert owner_of("", 5357, made) == "a process of another user: ss -ltnp, as root, shows which"


def test_ipv6_addresses(proc):
    made = proc([("B80D0120000000000000000005000000", "0A", 0, 77)], [(812, "wsdd", 77)], version="6")
    assert owner_of("2001:db8::5", 5357, made) == "wsdd (process 812)"
    assert owner_of("2001:db8::6", 5357, made) is None


def test_without_proc_nothing_is_named(tmp_path):
    assert owner_of("", 5357, tmp_path) is None


def test_a_real_port_of_this_process():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert owner_of("127.0.0.1", server.getsockname()[1]).endswith(f" (process {os.getpid()})")
