"""Writes GetJobElements answers from the job table.

WS-Scan, GetJobElementsResponse; WS-Addressing 2004/08, section 3.2 for RelatesTo.
"""

from wsdgateway.bridge.jobs.job import Job
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.scan.jobelements import JOB_STATUS, SCAN_TICKET, JobElementsRequest, write_element_data, write_response
from wsdgateway.scan.jobstatus import JobStatus, write_job_status
from wsdgateway.scan.operations import GET_JOB_ELEMENTS, action_of
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.namespaces import SOAP, WSA, WSCN
from wsdgateway.soap.parsing import escape

# Written as text and not built as XML, since this is the gateway's most frequent answer.
_BEFORE_ID = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    f'<soap:Envelope xmlns:soap="{SOAP}" xmlns:wsa="{WSA}" xmlns:wscn="{WSCN}"><soap:Header>'
    f"<wsa:To>{ANONYMOUS}</wsa:To><wsa:Action>{action_of(GET_JOB_ELEMENTS.name)}Response</wsa:Action><wsa:MessageID>"
).encode()


class JobAnswers:
    """Writes GetJobElements answers from `table`.

    It caches the last body written for each job, since many clients ask the same. `qualified` is true if the scanner
    writes the attributes of ElementData with a prefix.
    """

    def __init__(self, table: JobTable) -> None:
        self.table = table
        self._written: dict[str, tuple[JobStatus, bool, bytes]] = {}
        self.qualified = False

    def write(self, request: JobElementsRequest, *, relates_to: str | None, message_id: str, now: float,
              not_before: int | None = None) -> bytes | None:
        """Write the answer if every requested element is known and fresh; None if the device must be asked.

        `not_before` is as in `JobTable.readable`.
        """
        body = self._body(request, now, not_before)
        if body is None:
            return None
        if not relates_to:
            return b"".join((_BEFORE_ID, message_id.encode(), b"</wsa:MessageID>", body))
        related = escape(relates_to).encode()
        return b"".join((_BEFORE_ID, message_id.encode(), b"</wsa:MessageID><wsa:RelatesTo>", related,
                         b"</wsa:RelatesTo>", body))

    def covers(self, asked: JobElementsRequest | None, request: JobElementsRequest) -> bool:
        """Return whether the answer to `asked`, which is in progress, will contain the elements that `request` names.

        JobStatus is assumed to be in it; ScanTicket may be in it, or be known already.
        """
        assert request.names is not None
        job = self.table.get(request.job_id)
        known = {JOB_STATUS, *(name for name, _ in job.extras)} if job is not None else {JOB_STATUS}
        coming = {SCAN_TICKET} & set(asked.names or ()) if asked is not None else set()
        return set(request.names) <= known | coming

    def _body(self, request: JobElementsRequest, now: float, not_before: int | None) -> bytes | None:
        """The end of the answer from the end of its Header."""
        assert request.names is not None
        status: JobStatus | None = None
        if JOB_STATUS in request.names:
            status = self.table.readable(request.job_id, now, not_before)
            if status is None:
                past = self.table.forgotten(request.job_id, now)
                return None if past is None else self._past_body(request, past)
        if request.status_only:
            assert status is not None
            return self._status_body(status)
        job = self.table.get(request.job_id)
        extras = dict(job.extras) if job is not None else {}
        parts = []
        for name in request.names:
            content = write_job_status(status) if name == JOB_STATUS and status else extras.get(name)
            if content is None:
                return None
            parts.append(write_element_data(name, content, self.qualified))
        return _with_envelope("".join(parts))

    def _past_body(self, request: JobElementsRequest, job: Job) -> bytes:
        """The end of the answer for a job that the scanner has forgotten, with unknown elements marked as not valid."""
        assert request.names is not None and job.status is not None
        if request.status_only:
            return self._status_body(job.status)
        known = {**dict(job.extras), JOB_STATUS: write_job_status(job.status)}
        return _with_envelope("".join(
            write_element_data(name, known.get(name), self.qualified) for name in request.names))

    def _status_body(self, status: JobStatus) -> bytes:
        kept = self._written.get(status.job_id)
        if kept is not None and kept[0] is status and kept[1] == self.qualified:
            return kept[2]
        body = _with_envelope(write_element_data(JOB_STATUS, write_job_status(status), self.qualified))
        if len(self._written) >= 64:
            self._written.clear()
        self._written[status.job_id] = (status, self.qualified, body)
        return body


def _with_envelope(elements: str) -> bytes:
    return f"</soap:Header><soap:Body>{write_response(elements)}</soap:Body></soap:Envelope>".encode()
