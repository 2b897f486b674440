"""Tests of scan.operations: operations and events by their actions."""

import pytest

from tests.messages import SCAN
from wsdgateway.scan.operations import CREATE_SCAN_JOB, GET_JOB_ELEMENTS, OTHER, SUBSCRIBE, event_of, operation_of
from wsdgateway.soap.namespaces import WSE

OLD = "http://schemas.microsoft.com/windows/2006/01/wdp/scan"


@pytest.mark.parametrize(("action", "operation"), [
    (f"{SCAN}/GetJobElements", GET_JOB_ELEMENTS), (f"{OLD}/CreateScanJob", CREATE_SCAN_JOB),
    (f"{WSE}/Subscribe", SUBSCRIBE),
    (f"{SCAN}/Vendor", OTHER), ("", OTHER)])
def test_operations(action, operation):
    assert operation_of(action) is operation


def test_events():
    assert event_of(f"{SCAN}/JobStatusEvent") == "JobStatusEvent"
    assert event_of(f"{SCAN}/GetJobElements") is None
