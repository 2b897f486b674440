"""The tables of the pages: their columns, and the content of the cells.

Each cell carries the name of its column, which is shown before it on small screens; ARIA roles are set because the
style sheet changes the display of the table's elements.
"""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.web.template import Tag, tags

from wsdgateway.bridge.events.upstream import LISTENING
from wsdgateway.exchangelog.entry import duration, is_failed


@attrs.frozen
class Column:
    """A column: its name, and a function that returns its content for a row."""

    name: str
    show: Callable[[dict[str, Any]], Any]
    style: str = ""


def table(labelled_by: str, columns: tuple[Column, ...], rows: list[dict[str, Any]], otherwise: str) -> Tag:
    """A table of these rows, or the text `otherwise` if there are none."""
    names = [tags.th(column.name, scope="col", role="columnheader") for column in columns]
    head = tags.thead(tags.tr(*names, role="row"), role="rowgroup")
    body = [tags.tr(*[_cell(column, row) for column in columns], role="row") for row in rows] or [
        tags.tr(tags.td(otherwise, colspan=str(len(columns)), role="cell"), role="row")]
    return tags.table(head, tags.tbody(*body, role="rowgroup"), role="table", **{"aria-labelledby": labelled_by})


def _cell(column: Column, row: dict[str, Any]) -> Tag:
    value = column.show(row)
    content = value if isinstance(value, Tag) else "–" if value is None or value == "" else str(value)
    return tags.td(tags.span(content), role="cell", class_=column.style, **{"data-label": column.name})


def timeline(states: list[dict[str, str]]) -> Tag | None:
    """The states of a job with their times, in order."""
    if not states:
        return None
    return tags.ol(*[tags.li(one["state"], " ", tags.time(one["time"][11:19], datetime=one["time"])) for one in states],
                   class_="timeline")


def _moment(time: str | None) -> str | None:
    """A time as a scanner or the gateway writes it, shortened if it has the usual form."""
    return time if time is None or len(time) < 19 or time[10] != "T" else f"{time[:10]} {time[11:19]}"


def _job_state(job: dict[str, Any]) -> str | None:
    return "lost when the scanner restarted" if job["lost"] else job["state"]


def _reasons(job: dict[str, Any]) -> str:
    return " ".join(reason for reason in job["reasons"] if reason != "None")


def _events(one: dict[str, Any]) -> str:
    return "all" if one["events"] is None else " ".join(event.rpartition("/")[2] for event in one["events"])


def _subscription_state(one: dict[str, Any]) -> str:
    state = str(one["state"]) if not one["failures"] else (
        f"{one['failures']} failed attempts, {one['waiting']} events waiting")
    if one["destinations"] and one["panel"] not in LISTENING:
        state += ", currently not on the panel"
    return state


def _when(exchange: dict[str, Any]) -> Tag:
    return tags.a(tags.time(f"{exchange['time'][:10]} {exchange['time'][11:23]}", datetime=exchange["time"]),
                  href=f"/exchanges/{exchange['number']}")


def _result(exchange: dict[str, Any]) -> Tag | str:
    status, fault = exchange["status"], exchange["fault"]
    if not is_failed(status, fault, exchange["source"]):
        return str(status or "")
    return tags.span(f"{status or 'no answer'} {fault or ''}".strip(), class_="problem")


EXCHANGES = (
    Column("Time, UTC", _when, "number"), Column("Scanner", lambda one: one["scanner"]),
    Column("Client", lambda one: one["client"] or "this gateway"), Column("Operation", lambda one: one["operation"]),
    Column("Job", lambda one: one["job_id"]), Column("Source", lambda one: one["source"]), Column("Result", _result),
    Column("Bytes", lambda one: f"{one['request_bytes']:,} / {one['response_bytes']:,}", "number"),
    Column("Duration", lambda one: duration(one["seconds"]), "number"))

JOBS = (
    Column("Scanner", lambda job: job["scanner"]), Column("Job", lambda job: job["job_id"]),
    Column("State", _job_state), Column("Reasons", _reasons), Column("Pages", lambda job: job["scans_completed"]),
    Column("Created", lambda job: _moment(job["created"])), Column("Completed", lambda job: _moment(job["completed"])),
    Column("Timeline", lambda job: timeline(job["timeline"])))

SUBSCRIPTIONS = (
    Column("Scanner", lambda one: one["scanner"]),
    Column("Subscriber", lambda one: one["client"] or "this gateway, at the scanner"),
    Column("Notified at", lambda one: one["notify_to"], "long"), Column("Events", _events, "long"),
    Column("Panel names", lambda one: ", ".join(destination["name"] for destination in one["destinations"])),
    Column("Until", lambda one: _moment(one["expires"])), Column("State", _subscription_state))
