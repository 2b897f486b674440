"""The tables of the pages: their columns, and the content of the cells.

On small screens a row takes two lines: the cells with the style `first` are on the first line, `detail` cells are left
out. ARIA roles are set because the style sheet changes the display of the table's elements.
"""

import re
from collections.abc import Callable
from typing import Any

import attrs
from twisted.web.template import Tag, tags

from wsdgateway.admin.times import moment
from wsdgateway.bridge.events.upstream import LISTENING
from wsdgateway.exchangelog.entry import duration, is_failed
from wsdgateway.http.messages import REASONS
from wsdgateway.scan.conditions import in_words, listed

_SIDE = re.compile("^(Client|Server)Error(?=[A-Z])")  # of WS-Scan's faults: whose mistake it is

KINDS = {"local": "answered here", "device": "forwarded", "refused": "refused", "event": "event",
         "own": "own request", "discovery": "discovery"}
LONG_NAME = 24  # characters of a scanner's name; a longer one may be broken into lines
_STYLES = {"Aborted": "problem", "Completed": "good"}


@attrs.frozen
class Column:
    """A column: its name, and a function that returns its content for a row.

    `label` is put before the content on small screens, where the names of columns are not visible.
    """

    name: str
    show: Callable[[dict[str, Any]], Any]
    style: str = ""
    label: str = ""


def table(labelled_by: str, columns: tuple[Column, ...], rows: list[dict[str, Any]], otherwise: str) -> Tag:
    """A table of these rows, or the text `otherwise` if there are none."""
    if not rows:
        return tags.p(otherwise, class_="quiet")
    names = [tags.th(column.name, _zone(column), scope="col", role="columnheader", class_=column.style)
             for column in columns]
    head = tags.thead(tags.tr(*names, role="row"), role="rowgroup")
    body = [tags.tr(*[_cell(column, row) for column in columns], role="row") for row in rows]
    return tags.table(head, tags.tbody(*body, role="rowgroup"), role="table", **{"aria-labelledby": labelled_by})


def _zone(column: Column) -> Tag | str:
    """The time zone of a column of times, which the script removes together with UTC."""
    return tags.span(", UTC", class_="zone") if "time" in column.style.split() else ""


def _cell(column: Column, row: dict[str, Any]) -> Tag:
    value = column.show(row)
    empty = value is None or value == ""
    content = value if isinstance(value, Tag) else "–" if empty else str(value)
    made = tags.td(content, role="cell", class_=f"{column.style} empty".strip() if empty else column.style,
                   **{"data-column": column.name})
    return made(**{"data-label": column.label}) if column.label else made


def named(name: str | None) -> Tag | str:
    """A name from the network, whose direction of writing does not affect the text beside it."""
    return tags.bdi(name) if name else ""


def _scanner(row: dict[str, Any]) -> Tag | str:
    """The name of a row's scanner, on one line unless it is long."""
    name = row["scanner"]
    return tags.bdi(name, class_="wraps") if name and len(name) > LONG_NAME else named(name)


def timeline(states: list[dict[str, str]], now: float) -> Tag | str:
    """The states of a job with their times, in order."""
    if not states:
        return ""
    return tags.ol(*[tags.li(one["state"], " ", moment(one["time"], now, precise=True)) for one in states],
                   class_="timeline")


def result(exchange: dict[str, Any]) -> Tag:
    """The result of an exchange in words; status and name of a fault are the title."""
    status, fault = exchange["status"], exchange["fault"]
    exact = f"{status or ''} {fault or ''}".strip()
    if not is_failed(status, fault, exchange["source"]):
        return tags.span("ok" if status is None or status < 300 else _fault(fault) or str(status), class_="good",
                         title=exact)
    plain = "no answer" if status is None else f"{status} {REASONS.get(status, b'').decode()}".strip()
    return tags.span(_fault(fault) or plain, class_="problem", title=exact)


def _fault(name: str | None) -> str:
    """The name of a fault in words, such as "temporary error" for ServerErrorTemporaryError."""
    return in_words(_SIDE.sub("", name)) if name else ""


def _host(client: str | None) -> str:
    """The address of a client without its port."""
    return client.rpartition(":")[0] or client if client else "this\N{NO-BREAK SPACE}gateway"


def exchanges(now: float) -> tuple[Column, ...]:
    """The columns of exchanges."""
    return (
        Column("Time", lambda one: tags.a(moment(one["time"], now, precise=True),
                                          href=f"/exchanges/{one['number']}"), "time number first"),
        Column("Operation", lambda one: named(one["operation"]), "first"),
        Column("Result", result, "first last"),
        Column("Scanner", _scanner, "short"),
        Column("Client", lambda one: _host(one["client"])),
        Column("Kind", lambda one: KINDS.get(one["source"], one["source"])),
        Column("Job", lambda one: named(one["job_id"]), label="job"),
        Column("Duration", lambda one: duration(one["seconds"]), "number"),
        Column("Bytes in / out", lambda one: f"{one['request_bytes']:,} / {one['response_bytes']:,}", "number detail"))


def job_state(job: dict[str, Any]) -> Tag:
    """The state of a job with its reasons, in words."""
    if job["lost"]:
        return tags.span("lost: the scanner restarted", class_="problem")
    if job["closing"]:
        return tags.span(f"no more images; last {job['state']}" if job["state"] else "no more images", class_="")
    state = job["state"] or "not known yet"
    reasons = listed(job["reasons"])
    style = _STYLES.get(state, "" if job["final"] else "active")
    return tags.span(f"{state}: {reasons}" if reasons else state, class_=style)


def _ended(job: dict[str, Any]) -> str | None:
    """The time at which a job ended, by the gateway's clock if it has seen that."""
    if job["final"] and len(job["timeline"]) > 1:
        return str(job["timeline"][-1]["time"])
    ended: str | None = job["completed"] or job["finished"]
    return ended


def _began(job: dict[str, Any]) -> str | None:
    return str(job["timeline"][0]["time"]) if job["timeline"] else job["created"]


def jobs(now: float, *, detailed: bool) -> tuple[Column, ...]:
    """The columns of jobs; `detailed` with all states of each."""
    columns = (
        Column("Job", lambda job: named(job["job_id"]), "first", label="job"),
        Column("Scanner", _scanner, "short first"),
        Column("State", job_state, "first last"),
        Column("Pages", lambda job: job["scans_completed"], label="pages"),
        Column("Began", lambda job: moment(_began(job), now), "time number", label="began"),
        Column("Ended", lambda job: moment(_ended(job), now), "time number", label="ended"))
    states = Column("Timeline", lambda job: timeline(job["timeline"], now), "time wide")
    return (*columns, states) if detailed else columns


def _events(one: dict[str, Any]) -> str:
    if one["events"] is None:
        return "all"
    return ", ".join(event.rpartition("/")[2].removesuffix("Event") for event in one["events"])


def _names(destinations: list[dict[str, Any]]) -> Tag | str:
    """The names on the panel, each in its own direction of writing."""
    parts = [part for one in destinations for part in (", ", tags.bdi(one["name"]))]
    return tags.span(*parts[1:]) if parts else ""


def _subscription_state(one: dict[str, Any]) -> Tag:
    words, style = str(one["state"]), "good" if one["state"] in (*LISTENING, "ok") else ""
    if one["failures"]:
        words, style = f"{one['failures']} failed attempts, {one['waiting']} events waiting", "problem"
    if one["destinations"] and one["panel"] not in LISTENING:
        words += ", currently not on the panel"
    return tags.span(words, class_=style)


def subscriptions(now: float, *, detailed: bool) -> tuple[Column, ...]:
    """The columns of subscriptions; `detailed` with the address to which events are sent."""
    columns = (
        Column("Subscriber", lambda one: _host(one["client"]), "short first"),
        Column("State", _subscription_state, "first last"),
        Column("Scanner", _scanner, "short"),
        Column("Events", _events, "long", label="events:"),
        Column("Panel names", lambda one: _names(one["destinations"]), label="panel:"),
        Column("Expires", lambda one: moment(one["expires"], now), "time number", label="until"))
    address = Column("Events are sent to", lambda one: one["notify_to"], "long wide")
    return (*columns, address) if detailed else columns
