"""The page of one scanner: its state, how to add it on a computer, its last hour, and its latest jobs."""

from typing import Any

from twisted.web.template import Tag, tags

from wsdgateway.admin.chart import chart
from wsdgateway.admin.page import heading
from wsdgateway.admin.paging import link
from wsdgateway.admin.scannerlist import copied, status
from wsdgateway.admin.tables import jobs, table
from wsdgateway.admin.times import moment
from wsdgateway.bridge.frontends.browserpage import airscan_line
from wsdgateway.metrics import Totals
from wsdgateway.scan.conditions import listed

_EVENTS = {"subscribed": "sent by the scanner", "renewing": "sent by the scanner",
           "unmanaged": "sent by the scanner, with a subscription that cannot be renewed",
           "off": "none: the scanner is asked instead", "waiting": "no subscription; the gateway tries again",
           "subscribing": "being subscribed to", "replacing": "being subscribed to", "stale": "being subscribed to",
           "unconfirmed": "perhaps: it is not certain that the scanner holds the subscription"}


def scanner_page(scanner: dict[str, Any], minutes: list[Totals], latest: list[dict[str, Any]], now: float) -> Tag:
    """The page of a scanner. `latest` are its latest jobs, newest first."""
    name = scanner["name"]
    return tags.div(
        heading(name),
        tags.div(_facts(scanner, now), id="scanner", **{"data-live": "scanner"}),
        tags.section(tags.h2("Add it on a computer", id="add"), _adding(scanner), **{"aria-labelledby": "add"}),
        tags.section(tags.h2("Requests in the last hour", id="hour"),
                     tags.div(chart(minutes, "hour"), id="live-hour", **{"data-live": "hour"}),
                     **{"aria-labelledby": "hour"}),
        tags.section(tags.h2("Latest jobs", id="jobs"),
                     tags.div(table("jobs", jobs(now, detailed=False), latest, "No jobs yet."), id="live-jobs",
                              **{"data-live": "jobs"}),
                     tags.p(tags.a("All jobs", href=link("/jobs", {"scanner": name}, {})), " ",
                            tags.a("Exchanges", href=link("/exchanges", {"scanner": name}, {})), " ",
                            tags.a("Subscriptions", href=link("/subscriptions", {"scanner": name}, {})),
                            class_="more"), **{"aria-labelledby": "jobs"}))


def _facts(scanner: dict[str, Any], now: float) -> Tag:
    since, reads, reached = scanner["problem_since"], scanner["status_reads"], scanner["reachable_since"]
    is_reachable = {True: "yes", False: "no", None: "not tried yet"}[scanner["reachable"]]
    facts: list[tuple[str, Any]] = [
        ("State", tags.span(status(scanner), (" since ", moment(since, now)) if since else "")),
        ("Conditions", listed(scanner["conditions"])),
        ("Reachable", tags.span(is_reachable, (", since ", moment(reached, now)) if reached else "")),
        ("Name", scanner["friendly_name"]), ("Model", scanner["model"]), ("Firmware", scanner["firmware"]),
        ("Scan service", scanner["scan"] or ("being searched for" if scanner["searched"] else "not known yet")),
        ("UUID", scanner["uuid"]), ("Announced as", scanner["stand_in"] if scanner["announced"] else None),
        ("Announced by eSCL", "; ".join(map(_place, scanner["escl_announced"]))),
        ("Events", _EVENTS.get(scanner["subscription"], "none") if scanner["scan"] else ""),
        ("Active jobs", scanner["active_jobs"]),
        ("Status reads", f"{reads['here']:,} answered by the gateway, {reads['there']:,} by the scanner")]
    return tags.dl(*[(tags.dt(name), tags.dd(value if isinstance(value, Tag) else str(value)))
                     for name, value in facts if value not in (None, "")], class_="facts")


def _place(announced: dict[str, Any]) -> str:
    """The name of a scanner on one interface, or why it is not announced there."""
    interface, name = announced["interface"], announced["name"]
    return f"not on {interface}: {announced['reason']}" if name is None else f"on {interface} as {name}"


def _adding(scanner: dict[str, Any]) -> Tag:
    name, url = scanner["name"], scanner["client_url"]
    if url is None:
        return tags.p("The address is not known yet, because no listener for clients is open.")
    finds = (f"In Settings, Bluetooth & devices, Printers & scanners, Add device, Windows lists it as "
             f"“{scanner['friendly_name'] or name}” in a network in which the gateway announces it."
             if scanner["announced"] else "Windows does not find it, because the gateway does not announce it; see "
                                          "[discovery] in the configuration.")
    return tags.dl(
        tags.dt("Address"), tags.dd(*copied("url", url, "the address")),
        tags.dt("sane-airscan"),
        tags.dd(*copied("line", airscan_line(name, url), "the line for sane-airscan"), tags.br(),
                "a line for [devices] in ", tags.code("/etc/sane.d/airscan.conf")),
        tags.dt("Windows"), tags.dd(finds),
        tags.dt("Terminal"), tags.dd(*copied("command", f"wsdgateway scan {url} -o page.pdf", "the command")),
        *_by_escl(scanner), class_="facts")


def _by_escl(scanner: dict[str, Any]) -> list[Tag]:
    """The address for eSCL clients, if there is one."""
    url = scanner["escl_url"]
    return [] if url is None else [
        tags.dt("eSCL"), tags.dd(*copied("escl", url, "the address for eSCL"), tags.br(),
                                 "for phones, Macs, Chromebooks, and sane-airscan (", tags.code(", eSCL"), ")")]
