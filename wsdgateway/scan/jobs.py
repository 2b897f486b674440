"""The job that other operations speak of: CreateScanJob's answer, and the JobId in a request.

WS-Scan, CreateScanJobResponse, CancelJobRequest, RetrieveImageRequest.
"""

import attrs
from lxml import etree

from wsdgateway.scan.reading import identifier, tag, text
from wsdgateway.soap.parsing import text_of


@attrs.frozen
class CreatedJob:
    """What CreateScanJobResponse says: the new job, and the token that its images are fetched with."""

    job_id: str
    job_token: str | None


def read_created(body: etree._Element | None) -> CreatedJob | None:
    """The new job in a Body; None if it is no CreateScanJobResponse with a JobId."""
    if body is None or body.tag != tag("CreateScanJobResponse"):
        return None
    job_id = identifier(body, "JobId")
    return None if job_id is None else CreatedJob(job_id, text(body, "JobToken"))


def job_id_of(body: etree._Element | None) -> str | None:
    """The JobId that a request's Body names, whatever the operation; None without one."""
    return None if body is None else identifier(body, "JobId")


def people_of(body: etree._Element | None) -> tuple[str | None, str | None]:
    """The JobOriginatingUserName and JobName in a message, wherever they stand; None for what is missing."""
    if body is None:
        return None, None
    user, name = (next(body.iter(tag(element)), None) for element in ("JobOriginatingUserName", "JobName"))
    return text_of(user), text_of(name)
