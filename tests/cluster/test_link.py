"""Tests of tests.cluster.link."""

import socket

import pytest

from tests.cluster.link import Link


@pytest.fixture
def link():
    """A link to a server that is accepted by `link.server.accept`."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(30.0)
    made = Link(server.getsockname()[1])
    made.server = server
    yield made
    made.stop()
    server.close()


def connect(link):
    here = socket.create_connection(("127.0.0.1", link.port), 30.0)
    there, _ = link.server.accept()
    there.settimeout(30.0)
    return here, there


def test_bytes_are_passed_on_both_ways(link):
    here, there = connect(link)
    with here, there:
        here.sendall(b"question")
        assert there.recv(100) == b"question"
        there.sendall(b"answer")
        assert here.recv(100) == b"answer"
        there.close()
        assert here.recv(100) == b""


def test_a_link_that_is_cut_closes_connections_and_refuses_new_ones(link):
    here, there = connect(link)
    with here, there:
        with link.cut():
            assert there.recv(100) == b"" and here.recv(100) == b""
            with socket.create_connection(("127.0.0.1", link.port), 30.0) as refused:
                assert refused.recv(100) == b""
        for one in connect(link):
            one.close()


def test_what_is_swallowed_arrives_when_the_link_works_again(link):
    here, there = connect(link)
    with here, there:
        with link.swallowing():
            here.sendall(b"late")
            there.setblocking(False)
            with pytest.raises(BlockingIOError):
                there.recv(100)
            there.setblocking(True)
        there.settimeout(30.0)
        assert there.recv(100) == b"late"
