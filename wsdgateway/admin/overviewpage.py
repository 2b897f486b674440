"""The overview: problems, figures, scanners, and the latest jobs, exchanges and subscriptions."""

from typing import Any

from twisted.web.iweb import IRequest
from twisted.web.template import Element, Tag, renderer, tags

from wsdgateway.admin.chart import chart
from wsdgateway.admin.cluster import WARNING
from wsdgateway.admin.destinations import destinations_table
from wsdgateway.admin.gatewaylist import gateway_section, is_redis_away
from wsdgateway.admin.overview import Overview
from wsdgateway.admin.page import live_control, template
from wsdgateway.admin.scannerlist import airscan, by_trouble, is_elsewhere, is_in_trouble, rows
from wsdgateway.admin.spools import spool_section
from wsdgateway.admin.tables import exchanges, jobs, subscriptions, table
from wsdgateway.admin.times import moment

SCANNERS, JOBS, EXCHANGES, SUBSCRIPTIONS = 20, 5, 8, 5  # rows of each list
PROBLEMS = 20
ERROR_SECONDS = 900.0


class OverviewPage(Element):
    """The overview. `latest` are the latest jobs, newest first."""

    loader = template("overview")

    def __init__(self, overview: Overview, latest: list[dict[str, Any]]) -> None:
        super().__init__()
        self._overview = overview
        self._now = overview.wall()
        self._jobs = latest
        self._cluster = overview.describe_cluster()
        self._scanners = by_trouble(overview.describe_scanners())
        self._subscriptions = overview.describe_subscriptions()

    @renderer
    def updates(self, request: IRequest, tag: Tag) -> Tag:
        return tag(live_control())

    @renderer
    def ready(self, request: IRequest, tag: Tag) -> Tag:
        return tag("Not ready", class_="status problem") if self._overview.problems() else tag(
            "Ready", class_="status good")

    @renderer
    def problems(self, request: IRequest, tag: Tag) -> Tag:
        found = [tags.li(tags.strong("Not ready"), ": ", line, class_="problem") for line in self._overview.problems()]
        found += [tags.li(tags.strong("Warning"), ": ", line, class_="warning") for line in self._overview.warnings()]
        found += [tags.li(tags.strong("Warning"), ": ", tags.bdi(line.removeprefix(WARNING)), class_="warning")
                  for line in self._overview.readiness() if line.startswith(WARNING)]
        troubled = [scanner for scanner in self._scanners if is_in_trouble(scanner)]
        found += [self._trouble(scanner) for scanner in troubled[:PROBLEMS]]
        if len(troubled) > PROBLEMS:
            found.append(tags.li(tags.a(f"{len(troubled) - PROBLEMS} more scanners with problems", href="/scanners"),
                                 class_="problem"))
        if not found:
            return tag
        return tag(tags.h2("Problems", id="problems"), tags.ul(*found, class_="problems"))

    def _trouble(self, scanner: dict[str, Any]) -> Tag:
        since = scanner["problem_since"]
        return tags.li(
            tags.a(tags.bdi(scanner["name"]), href=f"/scanners/{scanner['name']}"), ": ", tags.bdi(scanner["problem"]),
            tags.span(", since ", moment(since, self._now), class_="since") if since else "", class_="problem")

    @renderer
    def tiles(self, request: IRequest, tag: Tag) -> Tag:
        troubled = sum(map(is_in_trouble, self._scanners))
        others = sum(is_elsewhere(one) and not is_in_trouble(one) for one in self._scanners)
        untried = sum(one["reachable"] is None and not is_elsewhere(one) and not is_in_trouble(one)
                      for one in self._scanners)
        working = len(self._scanners) - troubled - untried - others
        active = sum(one["active_jobs"] or 0 for one in self._scanners)
        hour, errors = self._overview.last_hour(), self._overview.counted_in(ERROR_SECONDS).errors
        reads, here = sum(one.reads_here + one.reads_there for one in hour), sum(one.reads_here for one in hour)
        share = f"{100 * here // reads} %" if reads else "–"
        beside = [f"{troubled} with problems"] * bool(troubled) + [f"{untried} not tried yet"] * bool(untried)
        own = f"{working} of {len(self._scanners) - others}"
        return tag(
            *self._gateways(others),
            _tile("Working scanners", own, ", ".join(beside) or "no problems", "/scanners", "bad" if troubled else ""),
            _tile("Active jobs", str(active), "on all scanners" if self._cluster is None else "on own scanners",
                  "/jobs"),
            _tile("Errors in 15 minutes", f"{errors:,}", "no answer from a scanner",
                  "/exchanges?failed=1", "bad" if errors else ""),
            _tile("Reads answered here", share,
                  f"{here:,} of {reads:,} in the last hour" if reads else "none in the last hour", "#hour"))

    def _gateways(self, others: int) -> list[Tag]:
        """The tile of the gateways, if there are several. `others` are scanners that others answer for."""
        if self._cluster is None:
            return []
        away = is_redis_away(self._cluster)
        beside = "Redis cannot be used" if away else f"{others} scanner{'s' * (others != 1)} with the others"
        return [_tile("Gateways", str(len(self._cluster["gateways"])), beside, "#gateways", "bad" if away else "")]

    @renderer
    def gateways(self, request: IRequest, tag: Tag) -> Tag:
        """The gateways, if there are several."""
        if self._cluster is None:
            return tags.transparent()
        return tag(tags.h2("Gateways", id="gateways"),
                   tags.div(gateway_section(self._cluster, self._now), id="live-gateways",
                            **{"data-live": "gateways"}))

    @renderer
    def chart(self, request: IRequest, tag: Tag) -> Tag:
        return tag(chart(self._overview.last_hour(), "hour"))

    @renderer
    def scanners(self, request: IRequest, tag: Tag) -> Tag:
        tag(rows(self._scanners[:SCANNERS], self._now))
        return tag(_more("/scanners", f"All scanners ({len(self._scanners)})")) if (
            len(self._scanners) > SCANNERS) else tag

    @renderer
    def airscan(self, request: IRequest, tag: Tag) -> Tag:
        return tag(airscan(sorted(self._scanners, key=lambda one: str(one["name"]))) or "")

    @renderer
    def spool(self, request: IRequest, tag: Tag) -> Tag:
        room = self._overview.room
        return tag if room is None else tag(spool_section(self._overview.describe_spools(), room))

    @renderer
    def jobs(self, request: IRequest, tag: Tag) -> Tag:
        return tag(table("jobs", jobs(self._now, detailed=False), self._jobs, "No jobs yet."),
                   _more("/jobs", "All jobs") if self._jobs else "")

    @renderer
    def destinations(self, request: IRequest, tag: Tag) -> Tag:
        """The destinations, if there are any."""
        found = self._overview.destinations()
        if not found:
            return tags.transparent()
        shown = destinations_table(found, self._now, self._overview.panel_url)
        return tag(tags.h2("Destinations", id="destinations"),
                   tags.div(shown, id="live-destinations", **{"data-live": "destinations"}))

    @renderer
    def exchanges(self, request: IRequest, tag: Tag) -> Tag:
        found = self._overview.describe_exchanges(most=EXCHANGES)
        return tag(table("exchanges", exchanges(self._now), found, "No exchanges yet."),
                   _more("/exchanges", "All exchanges") if found else "")

    @renderer
    def subscriptions(self, request: IRequest, tag: Tag) -> Tag:
        found = sorted(self._subscriptions, key=lambda one: one["side"] != "client")
        columns = subscriptions(self._now, detailed=False)
        return tag(table("subscriptions", columns, found[:SUBSCRIPTIONS], "No subscriptions."),
                   _more("/subscriptions", f"All subscriptions ({len(found)})") if found else "")


def _tile(name: str, value: str, beside: str, href: str, style: str = "") -> Tag:
    return tags.li(tags.a(tags.span(name, class_="label"), " ", tags.strong(value), " ",
                          tags.span(beside, class_="beside"), href=href), class_=f"tile {style}".strip())


def _more(href: str, text: str) -> Tag:
    return tags.p(tags.a(text, href=href), class_="more")
