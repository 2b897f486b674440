"""Computes the changes that an answer of the scanner makes to a job's record.

WS-Scan, GetJobElementsResponse. An answer counts from the moment at which its request was sent.
"""

import attrs

from wsdgateway.bridge.jobs.job import Job
from wsdgateway.bridge.jobs.precedence import Verdict, compare, merge
from wsdgateway.scan.jobelements import SCAN_TICKET
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.soap.fragments import fits

MAX_EXTRA = 65536  # characters, without namespace declarations


def after_answer(job: Job, status: JobStatus, sent: int, sent_at: float) -> Job | None:
    """The record after an answer about this job; the same object if the answer contains nothing new.

    None if something newer is known, so that the answer must not be shown. The request was sent at the moment `sent`,
    and at the time `sent_at` in seconds.
    """
    known = job.status
    if known is None:
        if sent < job.needed and not status.final:
            return None
        return attrs.evolve(job, status=status, as_of=max(sent, job.needed), confirmed=sent_at)
    if known.final and not status.final and status.state != known.state:
        return None
    if sent >= job.as_of and sent >= job.needed:
        return attrs.evolve(job, status=merge(known, status), as_of=sent, confirmed=sent_at)
    if status.final and not known.final:
        return attrs.evolve(job, status=merge(known, status), as_of=max(job.as_of, job.needed),
                            confirmed=max(sent_at, job.confirmed))
    if job.as_of < job.needed:
        return None
    merged = merge(known, status)
    if merged == known:
        return job
    if compare(known, status) is Verdict.NEWER and compare(status, known) is not Verdict.NEWER:
        return attrs.evolve(job, status=merged)
    return None


def with_extras(job: Job, extras: tuple[tuple[str, str], ...], sent: int) -> Job:
    """The record with ScanTicket and Documents from an answer to a request sent at that moment.

    A job's ticket never changes. Its documents do until the job ends, so they are kept only if it had ended when the
    request was sent.
    """
    kept = dict(job.extras)
    for name, xml in extras:
        if fits(xml, MAX_EXTRA) and (name == SCAN_TICKET or (job.final and job.as_of <= sent)):
            kept[name] = xml
    return attrs.evolve(job, extras=tuple(kept.items()))
