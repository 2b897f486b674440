"""Tests of admin.attempts: the limit on attempts to guess the token."""

import pytest

from wsdgateway.admin.access import Access
from wsdgateway.admin.attempts import CLIENT_BURST, CLIENT_SECONDS, MAX_CLIENTS, TOTAL_BURST, TOTAL_SECONDS, Attempts

TOKEN = "0123456789abcdef"


def fail(attempts, client, times, now=0.0):
    for _ in range(times):
        assert attempts.wait(client, now) == 0.0
        attempts.failed(client, now)


def test_a_client_has_a_burst_of_wrong_tokens_and_then_a_rate():
    attempts = Attempts()
    fail(attempts, "192.0.2.7", CLIENT_BURST)
    assert attempts.wait("192.0.2.7", 0.0) == CLIENT_SECONDS
    assert attempts.wait("192.0.2.8", 0.0) == 0.0
    assert attempts.wait("192.0.2.7", CLIENT_SECONDS - 1.0) == 1.0
    fail(attempts, "192.0.2.7", 1, CLIENT_SECONDS)
    assert attempts.wait("192.0.2.7", CLIENT_SECONDS) == CLIENT_SECONDS
    fail(attempts, "192.0.2.7", CLIENT_BURST, 1000.0)


def test_ipv6_clients_are_counted_by_network():
    attempts = Attempts()
    for number in range(CLIENT_BURST):
        fail(attempts, f"2001:db8::{number:x}", 1)
    assert attempts.wait("2001:db8::ffff", 0.0) > 0.0
    assert attempts.wait("2001:db8:0:1::1", 0.0) == 0.0
    fail(attempts, None, CLIENT_BURST)
    assert attempts.wait(None, 0.0) > 0.0


def test_the_total_limit_exempts_clients_that_have_shown_the_token():
    attempts = Attempts()
    attempts.succeeded("192.0.2.7")
    for number in range(TOTAL_BURST):
        fail(attempts, f"198.51.{number // 256}.{number % 256}", 1)
    assert attempts.wait("192.0.2.8", 0.0) == TOTAL_SECONDS
    assert attempts.wait("192.0.2.7", 0.0) == 0.0
    attempts.forget()
    assert attempts.wait("192.0.2.7", 0.0) == TOTAL_SECONDS


def many_clients(count):
    return [f"10.0.{number // 256}.{number % 256}" for number in range(count)]


def test_the_number_of_remembered_clients_with_wrong_tokens_is_limited():
    attempts = Attempts()
    for client in ("192.0.2.7", "192.0.2.8"):
        fail(attempts, client, CLIENT_BURST)
    for client in many_clients(MAX_CLIENTS - 1):  # one more than there is room for
        attempts.failed(client, 0.0)
    for client in ("192.0.2.7", "192.0.2.8"):
        attempts.succeeded(client)  # so that only its own attempts count
    assert attempts.wait("192.0.2.7", 0.0) == 0.0
    assert attempts.wait("192.0.2.8", 0.0) == CLIENT_SECONDS


def test_the_number_of_remembered_clients_with_the_token_is_limited():
    attempts = Attempts()
    for client in many_clients(TOTAL_BURST):
        attempts.failed(client, 0.0)
    for client in ("192.0.2.7", "192.0.2.8", *many_clients(MAX_CLIENTS - 1)):
        attempts.succeeded(client)
    assert attempts.wait("192.0.2.7", 0.0) == TOTAL_SECONDS
    assert attempts.wait("192.0.2.8", 0.0) == 0.0


@pytest.mark.parametrize("authorization", [None, b"", b"Bearer", b"Bearer ", b"Basic eDp5", b"nonsense"])
def test_a_request_without_a_token_is_no_failed_attempt(authorization):
    access = Access(TOKEN, (), lambda: 0.0)
    for _ in range(2 * TOTAL_BURST):
        assert access.check_client("192.0.2.7", authorization, b"an old session").status == 401
    assert access.check_client("192.0.2.7", b"Bearer " + TOKEN.encode(), None) is None


def test_beyond_the_limit_the_right_token_is_refused_too_but_sessions_continue():
    now = [0.0]
    access = Access(TOKEN, (), lambda: now[0])
    session = access.log_in().encode()
    right, wrong = b"Bearer " + TOKEN.encode(), b"Bearer " + TOKEN[:-1].encode() + b"0"
    for _ in range(CLIENT_BURST):
        denied = access.check_client("192.0.2.7", wrong, None)
        assert denied.status == 401 and denied.wrong_token and denied.retry_after is None
    for shown in (right, wrong):
        denied = access.check_client("192.0.2.7", shown, None)
        assert (denied.status, denied.retry_after, denied.wrong_token) == (429, 5, False)
    assert access.check_token("192.0.2.7", TOKEN.encode()).status == 429
    assert access.check_client("192.0.2.7", wrong, session) is None
    assert access.check_client("192.0.2.8", right, None) is None
    now[0] = CLIENT_SECONDS
    assert access.check_client("192.0.2.7", right, None) is None


def test_checking_a_running_stream_is_no_attempt():
    access = Access(TOKEN, (), lambda: 0.0)
    for _ in range(2 * CLIENT_BURST):
        assert not access.still_allows("192.0.2.7", b"Bearer wrong", None)
    assert access.still_allows("192.0.2.7", b"Bearer " + TOKEN.encode(), None)
    assert access.still_allows("192.0.2.7", None, access.log_in().encode())
    access.change(None, ())
    assert access.still_allows("127.0.0.1", None, None) and not access.still_allows("192.0.2.7", None, None)
