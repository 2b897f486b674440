"""Renders the web pages: the overview, one exchange, and the login form.

The templates escape all data from the network; no page contains inline scripts or styles. HTML; WCAG 2.2 for keyboards,
screen readers and small screens.
"""

from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from twisted.web.iweb import IRequest
from twisted.web.template import Element, Tag, XMLString, flattenString, renderer, tags

from wsdgateway.admin.overview import Overview
from wsdgateway.admin.tables import EXCHANGES, JOBS, SUBSCRIPTIONS, table
from wsdgateway.http.messages import REASONS
from wsdgateway.scan.operations import NAMES

MAX_ROWS = 200
MAX_EXCHANGES = 50
_REACHABLE = {True: "reachable", False: "not reachable", None: "not tried yet"}


def _template(name: str) -> XMLString:
    return XMLString((files("wsdgateway.admin") / "templates" / f"{name}.xml").read_text("utf-8"))


class _Frame(Element):
    loader = _template("frame")

    def __init__(self, name: str, title: str, content: Element | Tag, logged_in: bool) -> None:
        super().__init__()
        self._name = name
        self._title = title
        self._content = content
        self._logged_in = logged_in

    @renderer
    def name(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._name)

    @renderer
    def title(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._title)

    @renderer
    def content(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._content)

    @renderer
    def log_out(self, request: IRequest, tag: Tag) -> Tag:
        if not self._logged_in:
            return tag
        return tag(tags.form(tags.button("Log out", type="submit"), method="post", action="/logout"))


class _OverviewPage(Element):
    loader = _template("overview")

    def __init__(self, overview: Overview, jobs: list[dict[str, Any]], wanted: dict[str, Any]) -> None:
        super().__init__()
        self._overview = overview
        self._jobs = jobs
        self._wanted = wanted

    @renderer
    def ready(self, request: IRequest, tag: Tag) -> Tag:
        problems = self._overview.problems()
        if not problems:
            return tag("All listeners are open.")
        return tag("Not ready: " + "; ".join(problems), class_="problem")

    @renderer
    def warnings(self, request: IRequest, tag: Tag) -> Tag:
        return tag(*[tags.p("Warning: ", line, class_="warning") for line in self._overview.warnings()])

    @renderer
    def scanners(self, request: IRequest, tag: Tag) -> Tag:
        described = self._overview.describe_scanners()
        nothing = "No scanners are configured, and none have been found."
        return tag(*map(_card, described)) if described else tag(tags.p(nothing))

    @renderer
    def filter(self, request: IRequest, tag: Tag) -> Tag:
        scanners = sorted({scanner.name for scanner in self._overview.scanners})
        operations = sorted({*NAMES, *(one.entry.operation for one in self._overview.log.since(0))})
        failed = tags.input(type="checkbox", id="failed", name="failed", value="1")
        if self._wanted["failed"]:
            failed(checked="checked")
        return tag(tags.form(
            _choice("scanner", "Scanner", scanners, self._wanted["scanner"]),
            _choice("operation", "Operation", operations, self._wanted["operation"]),
            tags.div(failed, tags.label("Failed only", for_="failed"), class_="check"),
            tags.button("Show", type="submit"), method="get", action="/#exchanges", class_="filter"))

    @renderer
    def exchanges(self, request: IRequest, tag: Tag) -> Tag:
        found = self._overview.describe_exchanges(
            **self._wanted, most=MAX_EXCHANGES)
        return tag(table("exchanges", EXCHANGES, found, "No exchanges match."))

    @renderer
    def jobs(self, request: IRequest, tag: Tag) -> Tag:
        return tag(table("jobs", JOBS, list(reversed(self._jobs[-MAX_ROWS:])), "No jobs yet."))

    @renderer
    def subscriptions(self, request: IRequest, tag: Tag) -> Tag:
        return tag(table("subscriptions", SUBSCRIPTIONS, self._overview.describe_subscriptions()[:MAX_ROWS],
                         "No subscriptions."))


def _choice(name: str, label: str, values: Iterable[str], chosen: str) -> Tag:
    options = [tags.option("all", value="")]
    for value in values:
        option = tags.option(value, value=value)
        options.append(option(selected="selected") if value == chosen else option)
    return tags.div(tags.label(label, for_=name), tags.select(*options, id=name, name=name))


def _card(scanner: dict[str, Any]) -> Tag:
    reachable = scanner["reachable"]
    state = tags.span(_REACHABLE[reachable] + (f", {scanner['state']}" if scanner["state"] else ""),
                      class_={True: "good", False: "problem", None: "quiet"}[reachable])
    facts = [("State", state), ("Friendly name", scanner["friendly_name"]), ("Model", scanner["model"]),
             ("Firmware", scanner["firmware"]),
             ("Path", scanner["path"]),
             ("Scan service", scanner["scan"] or ("searching" if scanner["searched"] else "not known yet")),
             ("Announced as", scanner["stand_in"] if scanner["announced"] else None),
             ("Subscription", scanner["subscription"]), ("Active jobs", str(scanner["active_jobs"]))]
    return tags.article(
        tags.h3(scanner["name"]),
        tags.dl(*[(tags.dt(name), tags.dd(value or "–")) for name, value in facts]),
        _chart(**scanner["status_reads"]), class_="card")


def _chart(here: int, there: int) -> Tag:
    """A bar that shows the share of status reads answered without asking the scanner."""
    total = here + there
    share = 1000 * here // total if total else 0
    spoken = f"Status reads: {here} answered by the gateway, {there} by the scanner"
    bars: list[Any] = [Tag("rect", attributes={"class": "none", "width": "1000", "height": "16"})] if not total else [
        Tag("rect", attributes={"class": "here", "width": str(share), "height": "16"}),
        Tag("rect", attributes={"class": "there", "x": str(share), "width": str(1000 - share), "height": "16"})]
    return tags.div(
        Tag("svg", attributes={"class": "chart", "viewBox": "0 0 1000 16", "preserveAspectRatio": "none", "role": "img",
                               "aria-label": spoken}, children=bars),
        tags.p("Status reads: ", tags.span(f"{here} answered by the gateway", class_="here"), ", ",
               tags.span(f"{there} by the scanner", class_="there"), class_="legend quiet"))


class _ExchangePage(Element):
    loader = _template("exchange")

    def __init__(self, exchange: dict[str, Any], request: str, response: str) -> None:
        super().__init__()
        self._exchange = exchange
        self._request = request
        self._response = response

    @renderer
    def heading(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._exchange["operation"])

    @renderer
    def facts(self, request: IRequest, tag: Tag) -> Tag:
        return tag(*[(tags.dt(name.replace("_", " ")), tags.dd("–" if value is None else str(value)))
                     for name, value in self._exchange.items()])

    @renderer
    def request_body(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._request)

    @renderer
    def response_body(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._response)


class _LoginPage(Element):
    loader = _template("login")

    def __init__(self, problem: str, then: str) -> None:
        super().__init__()
        self._problem = problem
        self._then = then

    @renderer
    def problem(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._problem) if self._problem else tags.transparent()

    @renderer
    def then(self, request: IRequest, tag: Tag) -> Tag:
        return tag(tags.input(type="hidden", name="then", value=self._then))


async def _write(request: IRequest, name: str, title: str, content: Element | Tag, logged_in: bool) -> bytes:
    return b"<!DOCTYPE html>\n" + await flattenString(request, _Frame(name, title, content, logged_in))


async def write_overview(request: IRequest, overview: Overview, wanted: dict[str, Any], *, logged_in: bool) -> bytes:
    """Render the overview as HTML. `wanted` selects the exchanges by `scanner`, `operation` and `failed`."""
    page = _OverviewPage(overview, await overview.describe_jobs(), wanted)
    return await _write(request, overview.name, overview.name, page, logged_in)


async def write_exchange(request: IRequest, overview: Overview, exchange: dict[str, Any], asked: str, answered: str, *,
                         logged_in: bool) -> bytes:
    """Render one exchange as HTML, with its two messages as text."""
    return await _write(request, overview.name, exchange["operation"], _ExchangePage(exchange, asked, answered),
                        logged_in)


async def write_login(request: IRequest, overview: Overview, problem: str, then: str) -> bytes:
    """Render the login form as HTML. `then` is the path to go to after the login."""
    return await _write(request, overview.name, "Log in", _LoginPage(problem, then), False)


async def write_problem(request: IRequest, overview: Overview, status: int, reason: str) -> bytes:
    """Render an error page that says what is wrong and what to do."""
    title = REASONS[status].decode()
    return await _write(request, overview.name, title, tags.div(tags.h1(title), tags.p(reason)), False)
