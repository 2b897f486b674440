"""Tests of net.scanners.failures: the causes of failed connection attempts."""

import errno

import pytest
from OpenSSL import SSL
from twisted.internet import error as neterror
from twisted.internet.defer import CancelledError

from wsdgateway.bridge.health.causes import (
    PIN_MISMATCH,
    REFUSED,
    SILENT,
    UNKNOWN_AUTHORITY,
    UNTRUSTED_AUTHORITY,
    unresolved,
)
from wsdgateway.net.scanners.failures import Insecure, cause_of, text_of
from wsdgateway.tls.trust import Untrusted, WrongKey

UNVERIFIED = SSL.Error([("SSL routines", "", "certificate verify failed")])


@pytest.mark.parametrize(("error", "cause"), [
    (neterror.ConnectionRefusedError(osError=errno.ECONNREFUSED), REFUSED),
    (neterror.TimeoutError(), SILENT), (neterror.NoRouteError(), SILENT),
    (neterror.ConnectError(osError=errno.EHOSTUNREACH), SILENT),
    (neterror.ConnectError(osError=errno.ETIMEDOUT), SILENT),
    (neterror.DNSLookupError(), unresolved("scanner.example")), (ValueError("label too long"), unresolved(
        "scanner.example")),
    (neterror.ConnectError(osError=errno.EMFILE), None), (neterror.ConnectError(osError=errno.EADDRNOTAVAIL), None),
    (neterror.ConnectingCancelledError(None), None), (CancelledError(), None),
    (Insecure(WrongKey("its certificate does not match the pin", "its key is x"), has_authority=False), PIN_MISMATCH),
    (Insecure(UNVERIFIED, has_authority=True), UNKNOWN_AUTHORITY),
    (Insecure(UNVERIFIED, has_authority=False), UNTRUSTED_AUTHORITY),
])
def test_the_cause_of_a_failure(error, cause):
    assert cause_of(error, "scanner.example") == cause


@pytest.mark.parametrize(("error", "words"), [
    (Insecure(Untrusted("its certificate is not valid for 192.0.2.1; give another address"), has_authority=True),
     "certificate is not valid for 192.0.2.1"),
    (Insecure(Untrusted("it presented no certificate"), has_authority=True), "presented no certificate"),
    (neterror.ConnectError(osError=errno.EACCES), "cannot be connected to (Permission denied)"),
])
def test_the_words_of_other_causes(error, words):
    assert cause_of(error, "192.0.2.1").words == words


def test_the_pin_of_the_key_is_for_the_administrator_alone():
    error = Insecure(WrongKey("its certificate does not match the pin", "its key is sha256/x"), has_authority=False)
    assert "sha256/x" not in str(error)
    assert error.cause.detail == "its key is sha256/x"


@pytest.mark.parametrize("error", [CancelledError(), neterror.ConnectingCancelledError(None)])
def test_an_attempt_that_ended_with_its_request_has_words_too(error):
    assert text_of(error) == "it took too long"
