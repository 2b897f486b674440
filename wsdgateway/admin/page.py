"""The frame of the web pages, the login form and the error pages.

All data from the network is escaped; no page contains inline scripts or styles. HTML; WCAG 2.2 for keyboards, screen
readers and small screens.
"""

from importlib.resources import files

from twisted.web.iweb import IRequest
from twisted.web.template import Element, Tag, XMLString, flattenString, renderer, tags

from wsdgateway.admin.overview import Overview
from wsdgateway.admin.times import lasting
from wsdgateway.http.messages import REASONS
from wsdgateway.program import version_line

_SECTIONS = (("/", "Overview"), ("/scanners", "Scanners"), ("/jobs", "Jobs"), ("/exchanges", "Exchanges"),
             ("/subscriptions", "Subscriptions"))


def template(name: str) -> XMLString:
    """The template with that name."""
    return XMLString((files("wsdgateway.admin") / "templates" / f"{name}.xml").read_text("utf-8"))


class _Frame(Element):
    loader = template("frame")

    def __init__(self, overview: Overview, title: str, content: Element | Tag, section: str, logged_in: bool) -> None:
        super().__init__()
        self._overview = overview
        self._title = title
        self._content = content
        self._section = section
        self._logged_in = logged_in

    @renderer
    def name(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._overview.name)

    @renderer
    def title(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._title)

    @renderer
    def sections(self, request: IRequest, tag: Tag) -> Tag:
        for path, name in _SECTIONS:
            link = tags.a(name, href=path)
            tag(tags.li(link(**{"aria-current": "page"}) if path == self._section else link))
        return tag

    @renderer
    def content(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._content)

    @renderer
    def program(self, request: IRequest, tag: Tag) -> Tag:
        """The version and the uptime. Nobody learns them before the login."""
        if not self._section:
            return tag
        return tag(f"{version_line()}, running for {lasting(self._overview.uptime())}")

    @renderer
    def log_out(self, request: IRequest, tag: Tag) -> Tag:
        if not self._logged_in:
            return tag
        return tag(tags.form(tags.button("Log out", type="submit"), method="post", action="/logout"))


def live_control() -> Tag:
    """The control of live updates, which the script shows; without scripts, a note."""
    return tags.div(
        tags.div(tags.span("Live", role="status", id="state"),
                 tags.button("Pause", type="button", id="pause", **{"aria-pressed": "false"}),
                 class_="live", id="live", hidden="hidden"),
        tags.noscript(tags.p("Without JavaScript this page does not update itself, and times are in UTC.",
                             class_="quiet")), class_="updates")


def heading(text: str, *more: Tag) -> Tag:
    """The heading of a page that updates itself; its id is "heading"."""
    return tags.div(tags.h1(text, id="heading"), *more, live_control(), class_="title")


async def write(request: IRequest, overview: Overview, title: str, content: Element | Tag, *, section: str = "",
                logged_in: bool = False) -> bytes:
    """Render a page as HTML. `section` is the path of the list to which it belongs, empty before the login."""
    return b"<!DOCTYPE html>\n" + await flattenString(
        request, _Frame(overview, title, content, section, logged_in))


class _LoginPage(Element):
    loader = template("login")

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


async def write_login(request: IRequest, overview: Overview, problem: str, then: str) -> bytes:
    """Render the login form as HTML. `then` is the path to go to after the login."""
    return await write(request, overview, "Log in", _LoginPage(problem, then))


async def write_problem(request: IRequest, overview: Overview, status: int, reason: str) -> bytes:
    """Render an error page that says what is wrong and what to do."""
    title = REASONS[status].decode()
    return await write(request, overview, title, tags.div(tags.h1(title), tags.p(reason)))
