"""Learns from the scanner's lists of jobs.

WS-Scan, GetActiveJobsResponse and GetJobHistoryResponse.
"""

from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.scan.jobstatus import JobStatus


def learn_list(table: JobTable, statuses: tuple[JobStatus, ...], sent: int, sent_at: float, *,
               complete: bool) -> tuple[bool, bool]:
    """Enter a list into the table. With `complete`, no other job is active, as in the answer to GetActiveJobs.

    The request was sent at the moment `sent`, and at the time `sent_at` in seconds. The first result is False if the
    list is outdated, because of a status in it or of a job that is missing from it. The second is True if it lists a
    finished job as active: its JobId was then reused without an event, and the device must be asked for that job.
    """
    known_before, finished_before = table.job_ids(), len(table.newly_finished)
    revived = [status for status in statuses if _is_revived(table, status, sent)]
    for status in revived:
        table.distrust(status.job_id)
    current = [table.listed(status, sent, sent_at) for status in statuses if status not in revived]
    named = {status.job_id for status in statuses}
    missing = [job for job in table.current() if job.status is not None and job.job_id not in named]
    is_outdated = any(job.as_of > sent and job.final is not complete for job in missing)
    # Jobs that ended before they were known here belong to the device's history, not the gateway's.
    table.newly_finished[finished_before:] = [
        job for job in table.newly_finished[finished_before:] if job.job_id in known_before]
    if complete and table.eventful:
        for job in missing:
            if not job.final and job.as_of < sent:
                table.distrust(job.job_id)
    return all(current) and not is_outdated, bool(revived)


def _is_revived(table: JobTable, status: JobStatus, sent: int) -> bool:
    job = table.get(status.job_id)
    return (job is not None and job.status is not None and job.final and not status.final
            and status.state != job.status.state and sent >= job.as_of)
