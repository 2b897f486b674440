"""The states of jobs."""

import pytest

from wsdgateway.scan.jobstatus import (
    JobStatus,
)


@pytest.mark.parametrize(("state", "final"), [
    ("Completed", True), ("Canceled", True), ("Aborted", True), ("Terminating", False), ("Processing", False),
    ("Vendor", False)])
def test_final_states(state, final):
    assert JobStatus("1", state).final is final
