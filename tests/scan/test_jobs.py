"""Tests of scan.jobs: the job in the answer to CreateScanJob and in requests."""


from tests.messages import envelope
from tests.scan.elements import body
from wsdgateway.scan.jobs import CreatedJob, job_id_of, read_created


def test_created_jobs():
    data = envelope("x", "<wscn:CreateScanJobResponse><wscn:JobId> 5 </wscn:JobId></wscn:CreateScanJobResponse>")
    assert read_created(body(data)) == CreatedJob("5", None)
    assert job_id_of(body(data)) == "5"
    assert read_created(body(envelope("x", "<wscn:CreateScanJobResponse/>"))) is None
    assert read_created(None) is None
    assert job_id_of(None) is None
