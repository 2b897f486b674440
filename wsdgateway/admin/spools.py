"""The scan jobs of the gateway's own that have not ended for their clients, and the spool, as plain values and HTML."""

from collections.abc import Iterable
from typing import Any

from twisted.web.template import Tag, tags

from wsdgateway.admin.tables import Column, named, table
from wsdgateway.bridge.scanjobs.phases import Phase
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import ScanJob

MAX_SPOOLS = 200  # described
ROWS = 10  # on a page
WAITING, SCANNING, FULL, SCANNED = "waiting", "scanning", "full", "scanned"
_WORDS = {WAITING: "waiting for its turn", SCANNING: "scanning", FULL: "waiting for room in the spool",
          SCANNED: "waiting for the client"}
_STYLES = {SCANNING: "active", FULL: "problem"}
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def describe_spool(scanner: str, job: ScanJob) -> dict[str, Any]:
    """Describe a job. `bytes` and `waiting`, a number of pages, count the part that the client has not fetched yet.

    The job's id is left out, because its client must have no other secret than its address.
    """
    unfetched = [page for page in job.pages if not page.sent]
    return {"scanner": scanner, "client": job.order.client or None, "name": job.order.name,
            "job_id": None if job.created is None else job.created.job_id, "state": _state(job), "pages": job.scanned,
            "waiting": sum(1 for page in unfetched if page.complete), "bytes": sum(page.taken for page in unfetched)}


def _state(job: ScanJob) -> str:
    if job.phase in (Phase.QUEUED, Phase.BUSY):
        return WAITING
    if job.phase is Phase.FULL or job.held:
        return FULL
    return SCANNED if job.phase is Phase.OVER else SCANNING


def describe_spools(jobs: Iterable[tuple[str, ScanJob]]) -> list[dict[str, Any]]:
    """Describe the jobs, with their scanners, that have not ended: at most `MAX_SPOOLS`, the largest first."""
    found = [describe_spool(scanner, job) for scanner, job in jobs if not job.finished]
    return sorted(found, key=lambda one: -int(one["bytes"]))[:MAX_SPOOLS]


def size(number: float) -> str:
    """A number of bytes in words, such as "2.1 GB", in powers of 1000."""
    for unit in _UNITS[:-1]:
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} {_UNITS[-1]}"


def columns(*, with_scanner: bool) -> tuple[Column, ...]:
    """The columns of jobs."""
    found = (
        Column("Client", lambda one: named(one["client"] or "this gateway"), "short first"),
        Column("State", lambda one: tags.span(_WORDS[one["state"]], class_=_STYLES.get(one["state"], "")),
               "first last"),
        Column("Job", lambda one: named(one["job_id"]), label="job"),
        Column("Pages", lambda one: one["pages"] or "", "number", label="pages"),
        Column("Waiting", lambda one: one["waiting"] or "", "number", label="waiting"),
        Column("Size", lambda one: size(one["bytes"]) if one["bytes"] else "", "number"))
    scanner = Column("Scanner", lambda one: named(one["scanner"]), "short")
    return (*found[:2], scanner, *found[2:]) if with_scanner else found


def spool_list(spools: list[dict[str, Any]], *, labelled_by: str, with_scanner: bool) -> Tag:
    """A list of the first `ROWS` jobs."""
    shown = table(labelled_by, columns(with_scanner=with_scanner), spools[:ROWS], "No client is being served by eSCL.")
    more = len(spools) - ROWS
    return tags.div(shown, tags.p(f"and {more} more", class_="quiet") if more > 0 else "")


def spool_section(spools: list[dict[str, Any]], room: Room) -> Tag:
    """The heading, the part of the spool that is in use, and the jobs."""
    return tags.transparent(
        tags.h2("Spool", id="spool"),
        tags.p(f"Pages that no client has fetched yet: {size(room.unfetched)} of {size(room.limit)}.",
               class_="quiet"),
        spool_list(spools, labelled_by="spool", with_scanner=True))
