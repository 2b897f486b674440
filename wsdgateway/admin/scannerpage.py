"""The page of one scanner: its state, how to add it on a computer, its last hour, and its latest jobs."""

from typing import Any

from twisted.web.template import Tag, tags

from wsdgateway.admin.chart import chart
from wsdgateway.admin.page import heading
from wsdgateway.admin.paging import link
from wsdgateway.admin.scannerlist import copied, is_elsewhere, status
from wsdgateway.admin.spools import spool_list
from wsdgateway.admin.tables import jobs, table
from wsdgateway.admin.times import moment
from wsdgateway.bridge.cluster.state import ALONE, FOLLOWING, LEAVING, OWNING, TAKING
from wsdgateway.bridge.frontends.browserpage import airscan_line
from wsdgateway.metrics import Totals
from wsdgateway.scan.conditions import listed

_EVENTS = {"subscribed": "sent by the scanner", "renewing": "sent by the scanner",
           "unmanaged": "sent by the scanner, with a subscription that cannot be renewed",
           "off": "none: the scanner is asked instead", "waiting": "no subscription; the gateway tries again",
           "subscribing": "being subscribed to", "replacing": "being subscribed to", "stale": "being subscribed to",
           "unconfirmed": "perhaps: it is not certain that the scanner holds the subscription"}


_SERVED = {OWNING: "by this gateway", ALONE: "by this gateway, without Redis",
           LEAVING: "by this gateway, which hands it over", TAKING: "by this gateway in a moment",
           FOLLOWING: "by its owner; this gateway passes requests on"}


def scanner_page(scanner: dict[str, Any], minutes: list[Totals], latest: list[dict[str, Any]],
                 spools: list[dict[str, Any]], now: float) -> Tag:
    """The page of a scanner. `latest` are its latest jobs, newest first, `spools` the gateway's own."""
    name = scanner["name"]
    no_jobs = "The gateway that owns it has its jobs." if is_elsewhere(scanner) else "No jobs yet."
    return tags.div(
        heading(name),
        tags.div(_facts(scanner, now), id="scanner", **{"data-live": "scanner"}),
        tags.section(tags.h2("Add it on a computer", id="add"), _adding(scanner), **{"aria-labelledby": "add"}),
        tags.section(tags.h2("Requests in the last hour", id="hour"),
                     tags.div(chart(minutes, "hour"), id="live-hour", **{"data-live": "hour"}),
                     **{"aria-labelledby": "hour"}),
        tags.div(tags.h2("Scans from the panel and of eSCL clients" if any(one["client"] is None for one in spools) else
                         "Jobs of eSCL clients", id="spool"),
                 spool_list(spools, labelled_by="spool", with_scanner=False), id="live-spool",
                 **{"data-live": "spool"}) if scanner["escl_url"] or spools else "",
        tags.section(tags.h2("Latest jobs", id="jobs"),
                     tags.div(table("jobs", jobs(now, detailed=False), latest, no_jobs), id="live-jobs",
                              **{"data-live": "jobs"}),
                     tags.p(tags.a("All jobs", href=link("/jobs", {"scanner": name}, {})), " ",
                            tags.a("Exchanges", href=link("/exchanges", {"scanner": name}, {})), " ",
                            tags.a("Subscriptions", href=link("/subscriptions", {"scanner": name}, {})),
                            class_="more"), **{"aria-labelledby": "jobs"}))


def _facts(scanner: dict[str, Any], now: float) -> Tag:
    since, reads, reached = scanner["problem_since"], scanner["status_reads"], scanner["reachable_since"]
    is_reachable = {True: "yes", False: "no", None: "not tried yet"}[scanner["reachable"]]
    state = ("State", tags.span(status(scanner), (" since ", moment(since, now)) if since else ""))
    if is_elsewhere(scanner):
        return _listed([state, *_owner(scanner), ("Status reads", f"{reads['here'] + reads['there']:,} passed on")])
    return _listed([
        state, *_owner(scanner),
        ("Conditions", listed(scanner["conditions"])),
        ("Reachable", tags.span(is_reachable, (", since ", moment(reached, now)) if reached else "")),
        ("Name", scanner["friendly_name"]), ("Model", scanner["model"]), ("Firmware", scanner["firmware"]),
        ("Scan service", scanner["scan"] or ("being searched for" if scanner["searched"] else "not known yet")),
        ("UUID", scanner["uuid"]), ("Announced as", scanner["stand_in"] if scanner["announced"] else None),
        ("Announced by eSCL", _places(scanner["escl_announced"])),
        ("Events", _EVENTS.get(scanner["subscription"], "none") if scanner["scan"] else ""),
        ("Active jobs", scanner["active_jobs"]),
        ("Status reads", f"{reads['here']:,} answered by the gateway, {reads['there']:,} by the scanner")])


def _owner(scanner: dict[str, Any]) -> list[tuple[str, Any]]:
    """The owner of a scanner in a cluster, and the age of its lease."""
    if scanner["ownership"] is None:
        return []
    age = scanner["lease_age"]
    return [("Owned by", scanner["owner"] or "no gateway"), ("Served", _SERVED.get(scanner["ownership"])),
            ("Lease renewed", None if age is None else f"{age:g} s ago")]


def _listed(facts: list[tuple[str, Any]]) -> Tag:
    return tags.dl(*[(tags.dt(name), tags.dd(value if isinstance(value, Tag) else tags.bdi(str(value))))
                     for name, value in facts if value not in (None, "")], class_="facts")


def _places(announced: list[dict[str, Any]]) -> Tag | None:
    """The names of a scanner on each interface, or why it is not announced there."""
    parts: list[Any] = []
    for one in announced:
        said = ("not on ", one["interface"], ": ", tags.bdi(one["reason"])) if one["name"] is None else (
            "on ", one["interface"], " as ", tags.bdi(one["name"]))
        parts += ["; "] * bool(parts) + [*said]
    return tags.span(*parts) if parts else None


def _adding(scanner: dict[str, Any]) -> Tag:
    name, url = scanner["name"], scanner["client_url"]
    if url is None:
        return tags.p("The address is not known yet, because no listener for clients is open.")
    finds = (tags.span("In Settings, Bluetooth & devices, Printers & scanners, Add device, Windows lists it as “",
                       tags.bdi(scanner["friendly_name"] or name),
                       "” in a network in which the gateway announces it.")
             if scanner["announced"] else
             "Windows finds it if its owner announces it." if is_elsewhere(scanner) else
             "Windows does not find it, because the gateway does not announce it: the gateway announces scanners that "
             "it can reach, on the interfaces in [discovery] client_interfaces.")
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
    name, url, secure = scanner["name"], scanner["escl_url"], scanner["escl_tls_url"]
    return [] if url is None else [
        tags.dt("eSCL"), tags.dd(*copied("escl", url, "the address for eSCL"), tags.br(),
                                 *((*copied("escl-tls", secure, "the address for eSCL over TLS"), tags.br())
                                   if secure else ()),
                                 "for phones, Macs and Chromebooks", tags.br(),
                                 *copied("escl-line", f'"{name}" = {url}/, eSCL', "the line for sane-airscan by eSCL"),
                                 tags.br(), "a line for sane-airscan, instead of the one above")]
