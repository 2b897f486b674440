"""Tests of net.transport.accounting: accounting and records of exchanges, which are plain values here."""

import attrs
import pytest

from tests.messages import create_scan_job, created_job, get_job_elements
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.http.requests import Request
from wsdgateway.metrics import RATE, Metrics
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.soap.envelope import read


@attrs.define
class Exchange:
    request: Request
    status: int | None = 200
    fault: str | None = None
    body: bytes = b"<answer/>"
    written: int = 9
    gone: bool = False
    tape: None = None
    passed: None = None
    client: str = "192.0.2.7"
    peer: str = "192.0.2.7:50000"


def exchange(request=b"", **more):
    return Exchange(Request(b"POST", b"/", [], request, False, True, b"x"), **more)


class Accounts:
    def __init__(self, scanner="front-desk"):
        self.now = 10.0
        self.metrics, self.log = Metrics(), ExchangeLog()
        self.accounting = Accounting(scanner, self.metrics, self.log, seconds=lambda: self.now,
                                     wall=lambda: 1000.0 + self.now)

    def entry(self):
        [kept] = self.log.since(0)
        return kept.entry


def test_an_exchange_is_counted_timed_and_recorded():
    accounts = Accounts()
    started = accounts.accounting.now()
    accounts.now = 12.5
    raw = get_job_elements("7")
    accounts.accounting.client(exchange(raw, fault="X"), "GetJobElements", "local", started, read(raw))
    entry = accounts.entry()
    assert (entry.scanner, entry.operation, entry.source, entry.status, entry.fault) == (
        "front-desk", "GetJobElements", "local", 200, "X")
    assert (entry.job_id, entry.message_id, entry.client) == ("7", read(raw).message_id, "192.0.2.7:50000")
    assert (entry.time, entry.seconds, entry.request_bytes, entry.response_bytes) == (1010.0, 2.5, len(raw), 9)
    assert b'operation="GetJobElements",scanner="front-desk",source="local"' in accounts.metrics.render()


def test_a_request_that_was_not_read_is_recorded_as_refused():
    accounts = Accounts()
    accounts.accounting.unread(exchange(b"<", status=429))
    accounts.accounting.unread(exchange(b"<<", status=400), accounts.now - 2.0)
    assert [(one.entry.operation, one.entry.source, one.entry.status, one.entry.seconds) for one in
            accounts.log.since(0)] == [("other", "refused", 429, 0.0), ("other", "refused", 400, 2.0)]


def test_a_job_id_given_by_the_caller_is_not_read_from_the_answer():
    accounts = Accounts()
    raw = create_scan_job()
    accounts.accounting.client(exchange(raw, body=b"no SOAP"), "CreateScanJob", "device", 10.0, read(raw), "7")
    assert accounts.entry().job_id == "7"


def test_exchanges_without_a_scanner_are_logged_but_not_counted():
    accounts = Accounts(None)
    accounts.accounting.client(exchange(status=404), "other", "refused", 10.0)
    assert (accounts.entry().scanner, accounts.entry().status) == (None, 404)
    assert b'operation="other"' not in accounts.metrics.render()


def test_a_disconnected_client_has_no_status():
    accounts = Accounts()
    accounts.accounting.client(exchange(gone=True), "other", "local", 10.0)
    assert accounts.entry().status is None


@pytest.mark.parametrize(("status", "body", "job_id"), [
    (200, created_job("5"), "5"), (500, created_job("5"), None), (200, b"<", None)])
def test_a_new_jobs_id_is_in_the_answer(status, body, job_id):
    accounts, raw = Accounts(), create_scan_job()
    accounts.accounting.client(exchange(raw, status=status, body=body), "CreateScanJob", "device", 10.0, read(raw))
    assert accounts.entry().job_id == job_id


def test_a_client_that_is_refused_is_counted_each_time():
    accounts = Accounts()
    for _ in range(3):
        accounts.accounting.refused(RATE, "192.0.2.7", "a request")
    assert b'wsdgateway_refused_total{reason="rate",scanner="front-desk"} 3.0' in accounts.metrics.render()
