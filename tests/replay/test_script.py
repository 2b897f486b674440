"""Tests of replay.script: the recorded answer for each request."""

import pytest

from tests.messages import SCAN, envelope, job_request
from tests.replay.folders import http, job
from wsdgateway.exchangelog.tape import EVENT
from wsdgateway.replay.script import Script
from wsdgateway.soap.faults import Refused
from wsdgateway.soap.namespaces import WSE


def test_a_job_with_the_requested_source_and_format_is_replayed(folder):
    job(folder, "1", b"ADF", b"jfif")
    job(folder, "2", b"Platen", b"png")
    script = Script(folder.read())
    assert script.answer("CreateScanJob", None, ("Platen", "png")).exchange.created == "2"
    assert script.answer("CreateScanJob", None, ("Platen", "png")).exchange.created == "1"
    again = script.answer("CreateScanJob", None, ("Platen", "png"))
    assert again.exchange.created == "2" and again.jobs == {"2": "3"}


def test_busy_answers_are_replayed_in_order(folder):
    job(folder, "", b"ADF", b"jfif", b"HTTP/1.1 500 Internal Server Error")
    job(folder, "4", b"ADF", b"jfif")
    script = Script(folder.read())
    assert script.answer("CreateScanJob", None, ("ADF", "jfif")).exchange.fault == "ServerErrorNotAcceptingJobs"
    assert script.answer("CreateScanJob", None, ("ADF", "jfif")).exchange.created == "4"


def test_images_end_and_other_answers_are_repeated(folder):
    job(folder, "1", b"ADF", b"jfif")
    folder.add("RetrieveImage", http(job_request("RetrieveImage", "1")), b"HTTP/1.1 200 OK\r\n\r\nimage")
    folder.add("CancelJob", http(job_request("CancelJob", "1")), http(envelope(f"{SCAN}/CancelJobResponse"),
                                                                     b"HTTP/1.1 200 OK"))
    script = Script(folder.read())
    script.answer("CreateScanJob", None, ("ADF", "jfif"))
    assert script.answer("RetrieveImage", "1", ()).exchange.answer().content == b"image"
    with pytest.raises(Refused, match="no more images"):
        script.answer("RetrieveImage", "1", ())
    first = script.answer("CancelJob", "1", ()).exchange
    assert script.answer("CancelJob", "1", ()).exchange is first
    with pytest.raises(Refused, match="no GetJobElements for the job 1"):
        script.answer("GetJobElements", "1", ("JobStatus",))
    with pytest.raises(Refused):
        script.answer("CancelJob", "nobody's", ())


def test_events_follow_their_requests(folder):
    folder.add("Subscribe", http(envelope(f"{WSE}/Subscribe")), http(envelope(f"{WSE}/SubscribeResponse"),
                                                                     b"HTTP/1.1 200 OK"))
    job(folder, "1", b"ADF", b"jfif")
    from tests.messages import status_event
    folder.add("JobStatusEvent", http(status_event("1")), side=EVENT)
    folder.add("ScannerStatusSummaryEvent", http(envelope(f"{SCAN}/ScannerStatusSummaryEvent", (
        "<wscn:ScannerStatusSummaryEvent/>"))), side=EVENT)
    script = Script(folder.read())
    alone, = script.without_anchor()
    assert (alone.name, alone.delay) == ("ScannerStatusSummaryEvent", pytest.approx(3.0))
    event, = script.answer("CreateScanJob", None, ("ADF", "jfif")).events
    assert (event.name, event.delay) == ("JobStatusEvent", pytest.approx(1.0))
