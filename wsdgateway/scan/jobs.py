"""Reads the jobs in requests and in the answer to CreateScanJob, and writes a client's requests about jobs.

WS-Scan, CreateScanJobRequest, CreateScanJobResponse, CancelJobRequest, RetrieveImageRequest.
"""

import attrs
from lxml import etree

from wsdgateway.scan.reading import identifier, tag, text
from wsdgateway.soap.parsing import escape, text_of


@attrs.frozen
class CreatedJob:
    """The content of CreateScanJobResponse: the new job, and the token for fetching its images."""

    job_id: str
    job_token: str | None


def read_created(body: etree._Element | None) -> CreatedJob | None:
    """The new job in a Body; None if it is not a CreateScanJobResponse with a JobId."""
    if body is None or body.tag != tag("CreateScanJobResponse"):
        return None
    job_id = identifier(body, "JobId")
    return None if job_id is None else CreatedJob(job_id, text(body, "JobToken"))


def job_id_of(body: etree._Element | None) -> str | None:
    """The JobId in a request's Body, for any operation; None without one."""
    return None if body is None else identifier(body, "JobId")


def people_of(body: etree._Element | None) -> tuple[str | None, str | None]:
    """The JobOriginatingUserName and JobName in a message, wherever they occur; None for one that is missing."""
    if body is None:
        return None, None
    user, name = (next(body.iter(tag(element)), None) for element in ("JobOriginatingUserName", "JobName"))
    return text_of(user), text_of(name)


def write_create(ticket: str, scan_identifier: str | None = None, token: str | None = None) -> str:
    """The Body's content of a CreateScanJob, around a ScanTicket.

    A scan that was started at the panel has a ScanIdentifier, and the DestinationToken of the chosen destination.
    """
    panel = "".join(f"<wscn:{name}>{escape(value)}</wscn:{name}>" for name, value in (
        ("ScanIdentifier", scan_identifier), ("DestinationToken", token)) if value is not None)
    return f"<wscn:CreateScanJobRequest>{panel}{ticket}</wscn:CreateScanJobRequest>"


def write_retrieve(job: CreatedJob, document: str) -> str:
    """The Body's content of a RetrieveImage; `document` is the DocumentName."""
    token = "" if job.job_token is None else f"<wscn:JobToken>{escape(job.job_token)}</wscn:JobToken>"
    return (f"<wscn:RetrieveImageRequest><wscn:JobId>{escape(job.job_id)}</wscn:JobId>{token}"
            f"<wscn:DocumentDescription><wscn:DocumentName>{escape(document)}</wscn:DocumentName>"
            "</wscn:DocumentDescription></wscn:RetrieveImageRequest>")


def write_cancel(job_id: str) -> str:
    """The Body's content of a CancelJob."""
    return f"<wscn:CancelJobRequest><wscn:JobId>{escape(job_id)}</wscn:JobId></wscn:CancelJobRequest>"
