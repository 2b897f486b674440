"""Reads the events of WS-Scan about jobs.

WS-Scan, JobStatusEvent and JobEndStateEvent. Devices deviate from the specification: they omit the JobStatus or
JobEndState around the elements, put JobState into a JobEndState, use the other event's action, or the namespace of the
specification's web pages. Such an event is read if it is unambiguous; otherwise `jobs_named` finds the jobs in it.
"""

import re

from lxml import etree

from wsdgateway.scan.jobstates import ACTIVE, FINAL
from wsdgateway.scan.jobstatus import JobStatus, read_job_end_state, read_job_status
from wsdgateway.scan.operations import EVENTS, JOB_END_STATE, JOB_STATUS, WSCN_2006_01
from wsdgateway.scan.reading import MAX_ID, identifier, in_current_namespace, tag
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import text_of

JOB_EVENTS = (JOB_STATUS, JOB_END_STATE)
MAX_NAMED = 16  # jobs in one event; with more it may concern any job

_STATUS, _END = "JobStatus", "JobEndState"
# The event that an element in the Body belongs to. Some devices omit the outer one.
_EVENT_OF_BODY = {**{tag(event): event for event in EVENTS}, tag(_STATUS): JOB_STATUS, tag(_END): JOB_END_STATE}
_STATES = tuple(f"{{{uri}}}{name}" for uri in (WSCN, WSCN_2006_01) for name in ("JobState", "JobCompletedState"))
_JOB_ID_IN_BYTES = re.compile(
    rb"[<:]JobId(?:\s[^<>]{0,200})?>\s{0,200}([^<>&\s](?:[^<>&]{0,%d}[^<>&\s])?)\s{0,200}</" % (MAX_ID - 2))


def read_job_event(event: str | None, body: etree._Element | None) -> JobStatus | None:
    """The status that an event with this name and Body announces.

    None if it is not a job event, or is ambiguous: action, Body and element must agree on whether the job continues or
    has ended.
    """
    if body is None:
        return None
    if event == JOB_STATUS and body.tag == tag(JOB_STATUS):  # as nearly all are
        status = _first_status(body)
        if status is not None:
            return status
    body = in_current_namespace(body)
    named = event_in(body)
    if named not in JOB_EVENTS:
        return None
    element = next(body.iterchildren(tag(_STATUS), tag(_END)), body)
    inner = JOB_STATUS if element.tag == tag(_STATUS) else JOB_END_STATE if element.tag == tag(_END) else named
    said = {event if event in JOB_EVENTS else named, named, inner}
    if said == {JOB_STATUS}:
        return read_job_status(element) or _certain(read_job_end_state(element))
    if said != {JOB_END_STATE}:
        return _certain(read_job_end_state(element) if inner == JOB_END_STATE else read_job_status(element))
    status = read_job_end_state(element)
    if status is not None and identifier(element, "JobCompletedState") is None and status.state in ACTIVE:
        return None
    return status


def _first_status(body: etree._Element) -> JobStatus | None:
    element = next(body.iterchildren(tag(_STATUS), tag(_END)), None)
    return None if element is None or element.tag != tag(_STATUS) else read_job_status(element)


def _certain(status: JobStatus | None) -> JobStatus | None:
    """The status of a contradictory event: only an end is accepted, since a finished job has no other state."""
    return status if status is not None and status.state in FINAL else None


def event_in(body: etree._Element | None) -> str | None:
    """The event that the element in a Body belongs to, regardless of the action; None for anything else."""
    if body is None:
        return None
    return _EVENT_OF_BODY.get(str(body.tag)) or _EVENT_OF_BODY.get(str(body.tag).replace(WSCN_2006_01, WSCN))


def jobs_named(body: etree._Element | None) -> tuple[str, ...]:
    """The JobIds in a Body, in any namespace; empty if it contains no usable ones, or too many."""
    if body is None:
        return ()
    found: dict[str, None] = {}
    for element in body.iter("{*}JobId"):
        job_id = text_of(element)
        if job_id is not None and len(job_id) <= MAX_ID:
            found[job_id] = None
            if len(found) > MAX_NAMED:
                return ()
    return tuple(found)


def other_jobs(status: JobStatus, body: etree._Element) -> tuple[str, ...] | None:
    """The jobs that an event may concern beside `status`, which was read from it; empty if any, None if none.

    `body` is the SOAP Body. A job whose state occurs in it more than once is included, too.
    """
    tellers = [state.getparent() for state in body.iter(*_STATES)]
    named = jobs_named(body)
    if len(tellers) == 1 and named == (status.job_id,):  # as in nearly all
        return None
    of_each = [text_of(next(teller.iterchildren("{*}JobId"), None)) for teller in tellers if teller is not None]
    if not named or None in of_each:
        return ()
    others = tuple(job_id for job_id in named if job_id != status.job_id or of_each.count(job_id) > 1)
    return others or None


def jobs_named_in(data: bytes) -> tuple[str, ...]:
    """The JobIds that can be found in a message that is not XML; empty as for `jobs_named`."""
    found: dict[str, None] = {}
    for match in _JOB_ID_IN_BYTES.finditer(data):
        try:
            found[match[1].decode()] = None
        except UnicodeDecodeError:
            return ()
        if len(found) > MAX_NAMED:
            return ()
    return tuple(found)
