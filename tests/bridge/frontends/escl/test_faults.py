"""Tests of bridge.frontends.escl.faults: the answers for the faults of scanners."""

import pytest

from wsdgateway.bridge.frontends.escl.faults import (
    BUSY,
    NOT_READY,
    UNMET,
    Outcome,
    aborted_reason,
    create_outcome,
    empty,
    page_outcome,
)
from wsdgateway.http.answers import HTTPAnswer

EMPTY, JAM = "ScannerAdfEmpty", "ScannerAdfJam"
NOT_ACCEPTING, TEMPORARY = "ServerErrorNotAcceptingJobs", "ServerErrorTemporaryError"
NO_IMAGES, NOT_FOUND = "ClientErrorNoImagesAvailable", "ClientErrorJobIdNotFound"
CANCELED = Outcome(410, job_state="Canceled", job_reason="JobCanceledAtDevice")


@pytest.mark.parametrize(("fault", "expected"), [
    (NOT_ACCEPTING, BUSY), (TEMPORARY, BUSY), (NO_IMAGES, Outcome(409)),
    ("ClientErrorFormatNotSupported", Outcome(409, again=True)),
    ("ClientErrorDocumentFormatNotSupported", Outcome(409, again=True)),
    ("ClientErrorConflictingRequiredParameters", Outcome(409, again=True)), ("InvalidArgs", Outcome(409, again=True)),
    ("HTTP 503", BUSY), ("LampWarming", BUSY), ("ServerErrorInternalError", Outcome(500)),
    ("OperationFailed", Outcome(500)), ("", Outcome(500))])
def test_faults_of_create_scan_job(fault, expected):
    assert create_outcome(fault, has_next_best=True) == expected


def test_without_another_format_there_is_only_one_try():
    for fault in ("ClientErrorFormatNotSupported", "ClientErrorConflictingRequiredParameters"):
        assert create_outcome(fault, has_next_best=False) == UNMET


@pytest.mark.parametrize(("fault", "pages", "feeder", "adf", "expected"), [
    (NO_IMAGES, 3, True, None, Outcome(404, None, EMPTY, "Completed", "JobCompletedSuccessfully")),
    (NO_IMAGES, 1, False, None, Outcome(404, None, None, "Completed", "JobCompletedSuccessfully")),
    (NO_IMAGES, 0, True, None, Outcome(404, None, EMPTY, "Aborted", "ResourcesAreNotReady")),
    (NO_IMAGES, 0, False, None, Outcome(404, None, None, "Aborted", "ResourcesAreNotReady")),
    (NO_IMAGES, 3, True, JAM, Outcome(404, None, EMPTY, "Completed", "JobCompletedSuccessfully")),
    (NOT_FOUND, 3, True, None, Outcome(404, None, EMPTY, "Completed", "JobCompletedSuccessfully")),
    (NOT_FOUND, 0, True, None, Outcome(404, None, EMPTY, "Aborted", "ResourcesAreNotReady")),
    (NOT_FOUND, 1, False, None, CANCELED), (NOT_FOUND, 0, False, None, CANCELED),
    ("ClientErrorJobCancelled", 3, True, None, CANCELED), ("ClientErrorJobCanceled", 0, False, None, CANCELED),
    (TEMPORARY, 0, True, None, Outcome(503, 1, again=True)), (TEMPORARY, 2, False, JAM, Outcome(503, 1, again=True)),
    (NOT_ACCEPTING, 1, True, None, Outcome(503, 1, again=True)),
    ("ServerErrorInternalError", 2, True, JAM, Outcome(409, None, JAM, "Aborted", "AbortedBySystem")),
    ("ServerErrorInternalError", 2, True, "ScannerAdfHatchOpen",
     Outcome(409, None, "ScannerAdfHatchOpen", "Aborted", "AbortedBySystem")),
    ("ServerErrorInternalError", 2, True, EMPTY, Outcome(500, None, None, "Aborted", "AbortedBySystem")),
    ("ServerErrorInternalError", 2, False, None, Outcome(500, None, None, "Aborted", "AbortedBySystem")),
    ("Sender", 0, True, "ScannerAdfLoaded", Outcome(500, None, None, "Aborted", "AbortedBySystem"))])
def test_faults_of_retrieve_image(fault, pages, feeder, adf, expected):
    assert page_outcome(fault, pages=pages, feeder=feeder, adf_state=adf) == expected


@pytest.mark.parametrize("fault", [NOT_FOUND, NO_IMAGES, "ServerErrorInternalError"])
def test_a_job_that_was_canceled_at_the_scanner_has_not_just_ended(fault):
    assert page_outcome(fault, pages=3, feeder=True, canceled=True) == CANCELED


@pytest.mark.parametrize(("outcome", "expected"), [
    (BUSY, HTTPAnswer(503, b"", ((b"Retry-After", b"5"),))),
    (NOT_READY, HTTPAnswer(503, b"", ((b"Retry-After", b"1"),))),
    (UNMET, HTTPAnswer(409, b"")), (CANCELED, HTTPAnswer(410, b""))])
def test_answers_have_no_body(outcome, expected):
    assert outcome.answer() == expected
    assert empty(404, (b"Allow", b"GET"), fault="x") == HTTPAnswer(404, b"", ((b"Allow", b"GET"),), "x")


@pytest.mark.parametrize(("fault", "reason"), [
    (NO_IMAGES, "ResourcesAreNotReady"), ("ClientErrorFormatNotSupported", "DocumentFormatError"),
    ("ClientErrorConflictingRequiredParameters", "UnsupportedAttributesOrValues"),
    ("InvalidArgs", "UnsupportedAttributesOrValues"), (TEMPORARY, "AbortedBySystem"),
    (None, "AbortedBySystem")])
def test_reasons_of_aborted_jobs(fault, reason):
    assert aborted_reason(fault) == reason
