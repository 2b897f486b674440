"""Tests of admin.access: tokens, sessions, and the host names under which the site may be reached."""

import pytest

from wsdgateway.admin.access import MAX_SESSIONS, SESSION_SECONDS, Access

TOKEN = "0123456789abcdef"


class Now:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def access(token=None, hosts=()):
    now = Now()
    made = Access(token, hosts, now)
    made.now = now
    return made


@pytest.mark.parametrize("host", [b"127.0.0.1:8357", b"[::1]:8357", b"[fe80::1%25eth0]", b"localhost", b"LOCALHOST:1",
                                  b"192.0.2.5", b"print-server-1:8357", b"Print-Server-1.", b"", None])
def test_known_host_names_are_accepted(host):
    assert access(hosts=("print-server-1",)).check_host(host) is None


@pytest.mark.parametrize("host", [b"evil.example", b"localhost.evil.example:8357", b"127.0.0.1.evil.example",
                                  b"print-server-1@evil", b"[::1", b"evil.example:127.0.0.1", b"\xff\xfe", b" ",
                                  b"127.0.0.1%evil.example", b"[::ffff:7f00:1]evil.example", b"[evil.example]"])
def test_other_host_names_are_refused(host):
    denied = access(hosts=("print-server-1",)).check_host(host)
    assert denied.status == 421 and "[admin] hosts" in denied.reason


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", None])
def test_clients_on_this_host_need_no_token(client):
    assert access().check_client(client, None, None) is None


@pytest.mark.parametrize("client", ["192.0.2.7", "fe80::1%eth0", "::ffff:192.0.2.7", "nonsense"])
def test_other_clients_need_a_token(client):
    denied = access().check_client(client, b"Bearer " + TOKEN.encode(), None)
    assert denied.status == 403 and "[admin] token" in denied.reason
    assert access(TOKEN).check_client(client, b"bearer  " + TOKEN.encode(), None) is None


@pytest.mark.parametrize("authorization", [None, b"", b"Bearer", b"Bearer ", b"Bearer 0123456789abcdeF", b"Basic " +
                                           TOKEN.encode(), TOKEN.encode(), b"Bearer \xff\xff"])
def test_if_a_token_is_configured_every_client_needs_it(authorization):
    denied = access(TOKEN).check_client("127.0.0.1", authorization, None)
    assert denied.status == 401 and denied.login


def test_a_session_expires():
    made = access(TOKEN)
    session = made.log_in().encode()
    assert made.check_client("192.0.2.7", None, session) is None
    assert made.check_client("192.0.2.7", None, b"another") is not None
    made.now.seconds = SESSION_SECONDS
    assert made.check_client("192.0.2.7", None, session) is not None


def test_logout_and_a_changed_token_end_sessions():
    made = access(TOKEN)
    first, second = made.log_in().encode(), made.log_in().encode()
    made.log_out(first)
    made.log_out(None)
    assert made.check_client("::1", None, first) is not None
    made.change(TOKEN, ("a",))
    assert made.check_client("::1", None, second) is None
    made.change(TOKEN + "1", ())
    assert made.check_client("::1", None, second) is not None


def test_the_number_of_sessions_is_limited():
    made = access(TOKEN)
    sessions = [made.log_in().encode() for _ in range(MAX_SESSIONS + 1)]
    assert made.check_client("::1", None, sessions[0]) is not None
    assert made.check_client("::1", None, sessions[-1]) is None
