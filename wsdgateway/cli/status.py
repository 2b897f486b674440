"""The subcommand `wsdgateway status`: tables of a running gateway's scanners, subscriptions, spool and jobs."""

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wsdgateway.bridge.cluster.state import ALONE, FOLLOWING, TAKING
from wsdgateway.cli.adminclient import AdminError, AdminSite, add_site, site_of
from wsdgateway.cli.printing import printable, stdout_console
from wsdgateway.durations import in_words
from wsdgateway.scan.conditions import listed

MAX_JOBS = 20
PAUSE = 2.0
_SPOOL_STATES = {"waiting": "waiting for its turn", "full": "waiting for room in the spool",
                 "scanned": "waiting for the client"}
_ELSEWHERE = {FOLLOWING: "with its owner", TAKING: "being taken over"}
LISTS = ("scanners", "jobs", "subscriptions", "spools")


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    parser = commands.add_parser("status", help="show the scanners, jobs and subscriptions of a running gateway")
    add_site(parser)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--watch", action="store_true", help="refresh every two seconds, until Ctrl-C")
    only.add_argument("--json", action="store_true", help=f"print one JSON object with the lists {', '.join(LISTS)} of "
                                                          "the admin site, and with several gateways also cluster")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the tables, or the JSON object. Raises `AdminError`."""
    site = site_of(options)
    if options.json:
        found: dict[str, Any] = {name: site.fetch(name) for name in LISTS}
        cluster = site.cluster()
        print(json.dumps(found if cluster is None else {**found, "cluster": cluster}, indent=2))
    else:
        status(site, watch=options.watch, console=stdout_console())
    return 0


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _row(table: Table, *values: Any) -> None:
    """Add a row. Names come from the network, so they are printed without markup and control characters."""
    table.add_row(*(Text("–" if value is None else printable(str(value)))
                    for value in values))


def _scanners(found: list[dict[str, Any]], now: datetime) -> Table:
    by_escl = ["eSCL"] * any(scanner["escl_url"] for scanner in found)
    owned = ["Owner", "Lease"] if any(scanner.get("ownership") for scanner in found) else []
    table = _table("Scanners", "Name", *owned, "Scan service", "State", "Announced as", *by_escl, "Subscription",
                   "Active jobs")
    for scanner in found:
        scan = "searching" if scanner["searched"] and not scanner["scan"] else scanner["scan"]
        _row(table, scanner["name"], *([_owner(scanner), _age(scanner.get("lease_age"))] if owned else ()), scan,
             state_of(scanner, now),
             scanner["stand_in"] if scanner["announced"] else None, *(scanner["escl_url"] for _ in by_escl),
             scanner["subscription"], scanner["active_jobs"])
    return table


def _owner(scanner: dict[str, Any]) -> str | None:
    """The owner of a scanner, and whether it has gone on without Redis."""
    alone = scanner.get("ownership") == ALONE
    return f"{scanner['owner']}, without Redis" if alone else scanner["owner"]


def state_of(scanner: dict[str, Any], now: datetime) -> str:
    """The health of a scanner in a few words: its problem and since when, or its state and conditions."""
    problem = scanner.get("problem")
    if problem:
        since = scanner.get("problem_since")
        return str(problem) if since is None else f"{problem}, since {_clock(since, now)}"
    if scanner.get("ownership") in _ELSEWHERE:
        return _ELSEWHERE[scanner["ownership"]] if scanner["owner"] else "owned by no gateway"
    if scanner["reachable"] is None:
        return "not tried yet"
    details = ", ".join(filter(None, (scanner.get("state"), listed(scanner.get("conditions", ())))))
    return f"ok ({details})" if details else "ok"


def _age(seconds: float | None) -> str | None:
    """The time since the lease of a scanner was renewed, in words."""
    return None if seconds is None else f"{seconds:g} s ago"


def _clock(time_of: str, now: datetime, form: str = "%H:%M") -> str:
    """A time of the API in local time, with its date unless that is today."""
    local, today = datetime.fromisoformat(time_of).astimezone(now.tzinfo), now.date()
    return local.strftime(form if local.date() == today else f"%Y-%m-%d {form}")


def _gateways(cluster: dict[str, Any] | None, now: datetime) -> list[RenderableType]:
    """The gateways, lines about Redis and about differences, and an empty one; nothing for a gateway without others."""
    if cluster is None:
        return []
    redis = cluster["redis"]
    table = _table("Gateways", "Name", "Scanners", "Address", "Version", "Last seen")
    for one in cluster["gateways"]:
        here = " (this one)" if one["name"] == cluster["name"] else ""
        _row(table, f"{one['name']}{here}", len(one["scanners"]), one["address"], one["version"],
             _clock(one["last_seen"], now, "%H:%M:%S"))
    if redis["problem"] or redis["reachable"] is False:
        said = f"cannot be used: {redis['problem'] or 'no answer'}"
    else:
        said = "has not been tried yet" if redis["reachable"] is None else "answers"
    version = "" if redis["version"] is None else f" (version {redis['version']})"
    differences = [Text(printable(one)) for one in cluster["differences"]]
    return [table, Text(printable(f"Redis {redis['url']} {said}{version}")), *differences, ""]


def _jobs(found: list[dict[str, Any]]) -> Table:
    table = _table(f"Jobs (last {MAX_JOBS})" if len(found) > MAX_JOBS else "Jobs",
                   "Scanner", "Job", "State", "Reasons", "Pages", "Created", "Completed")
    for job in reversed(found[-MAX_JOBS:]):
        reasons = " ".join(reason for reason in job["reasons"] if reason != "None")
        _row(table, job["scanner"], job["job_id"], _state(job), reasons,
             job["scans_completed"], job["created"], job["completed"])
    return table


def _state(job: dict[str, Any]) -> Any:
    if job["lost"]:
        return "lost"
    return "no more images" if job["closing"] else job["state"]


def _subscriptions(found: list[dict[str, Any]], now: datetime) -> Table:
    table = _table("Subscriptions", "Scanner", "Subscriber", "Notified at", "Events", "Panel names", "Left", "State")
    for one in found:
        events = None if one["events"] is None else " ".join(
            event.rpartition("/")[2].removesuffix("Event") for event in one["events"])
        names = ", ".join(destination["name"] for destination in one["destinations"])
        state = one["state"] if not one["failures"] else (
            f"{one['failures']} failed attempts, {_count(one['waiting'], 'event')} waiting")
        _row(table, one["scanner"], "this gateway" if one["side"] == "device" else one["client"],
             urlsplit(one["notify_to"]).netloc, events or "all", names or None, _left(one["expires"], now), state)
    return table


def _spool(found: list[dict[str, Any]]) -> list[RenderableType]:
    """The jobs whose pages go through the spool, and an empty line; nothing without such jobs."""
    table = _table("Spool", "Scanner", "Client", "Job", "State", "Scanned", "Pages waiting", "Bytes waiting")
    for one in found[:MAX_JOBS]:
        _row(table, one["scanner"], one["client"] or "this gateway", one["job_id"],
             _SPOOL_STATES.get(one["state"], one["state"]), one["pages"], one["waiting"], decimal(one["bytes"]))
    more = [f"and {len(found) - MAX_JOBS} more"] if len(found) > MAX_JOBS else []
    return [table, *more, ""] if found else []


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _left(expires: str, now: datetime) -> str:
    """The time left until `expires`."""
    return in_words((datetime.fromisoformat(expires) - now).total_seconds())


def _tables(site: AdminSite) -> RenderableType:
    now = datetime.now(UTC).astimezone()
    try:
        remarks = [Text(printable(line)) for line in site.remarks()]
        return Group(*remarks, *[""][:len(remarks)], _scanners(site.fetch("scanners"), now), "",
                     *_gateways(site.cluster(), now), _subscriptions(site.fetch("subscriptions"), now), "",
                     *_spool(site.fetch("spools")), _jobs(site.fetch(f"jobs?last={MAX_JOBS + 1}")))
    except (LookupError, TypeError, ValueError, AttributeError):
        raise AdminError(f"{site.base}: not the admin site of a gateway of this version") from None


def status(site: AdminSite, *, watch: bool, console: Console, sleep: Callable[[float], None] = time.sleep) -> None:
    """Print the tables of the gateway with that admin site; with `watch`, repeatedly until interrupted.

    Raises `AdminError` if the first query fails; later failures are shown in place of the tables.
    """
    tables = _tables(site)
    if not watch:
        console.print(tables)
        return
    with Live(tables, console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            sleep(PAUSE)
            try:
                live.update(_tables(site), refresh=True)
            except AdminError as error:
                live.update(Text(f"{str(error).rstrip('.')}; retrying"), refresh=True)
