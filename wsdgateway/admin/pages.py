"""Makes the pages of the site: which data each shows, by the parameters of its address."""

from typing import Any

from twisted.web.template import Element, Tag, tags

from wsdgateway.admin.access import COOKIE, Access
from wsdgateway.admin.exchangepage import ExchangePage
from wsdgateway.admin.listpage import checkbox, choice, filter_form, list_page
from wsdgateway.admin.messages import show
from wsdgateway.admin.overview import Overview
from wsdgateway.admin.overviewpage import JOBS, OverviewPage
from wsdgateway.admin.page import write, write_problem
from wsdgateway.admin.paging import needed, numbered, preceding
from wsdgateway.admin.resources import argument, is_set
from wsdgateway.admin.scannerlist import airscan, by_trouble, rows
from wsdgateway.admin.scannerpage import scanner_page
from wsdgateway.admin.tables import exchanges, jobs, subscriptions, table
from wsdgateway.exchangelog.entry import DISCOVERY, Entry, describe
from wsdgateway.exchangelog.log import KEPT, MAX_MESSAGE
from wsdgateway.exchangelog.masking import Masks
from wsdgateway.scan.operations import NAMES

_NO_PAGE = "There is no such page of this list; begin with its first page."


class Pages:
    """The pages of the site. Each method returns the HTML for a request."""

    def __init__(self, overview: Overview, access: Access) -> None:
        self._overview = overview
        self._access = access

    async def overview(self, request: Any) -> bytes:
        """The overview."""
        latest = await self._overview.describe_jobs(most=JOBS)
        return await self._write(request, "Overview", OverviewPage(self._overview, latest[::-1]), "/")

    async def scanners(self, request: Any) -> bytes:
        """The list of scanners, those with problems first."""
        page = numbered(by_trouble(self._overview.describe_scanners()), argument(request, "page"))
        if page is None:
            return await self._missing(request, _NO_PAGE)
        content = tags.div(rows(page.rows, self._overview.wall()), airscan(page.rows) or "")
        return await self._write(request, "Scanners", list_page("Scanners", "/scanners", {}, "", page, content),
                                 "/scanners")

    async def scanner(self, request: Any, name: str) -> bytes:
        """One scanner."""
        found = next((one for one in self._overview.describe_scanners() if one["name"] == name), None)
        if found is None:
            return await self._missing(request, "There is no scanner with this name; /scanners lists all of them.")
        latest = await self._overview.describe_jobs(scanner=name, most=JOBS)
        page = scanner_page(found, self._overview.last_hour(name), latest[::-1], self._overview.describe_spools(name),
                            self._overview.wall())
        return await self._write(request, name, page, "/scanners")

    async def jobs(self, request: Any) -> bytes:
        """The list of jobs, newest first."""
        filters, form = self._by_scanner(request, "/jobs")
        wanted = argument(request, "page")
        found = await self._overview.describe_jobs(scanner=filters["scanner"], most=needed(wanted))
        page = numbered(found[::-1], wanted, counted=False)
        if page is None:
            return await self._missing(request, _NO_PAGE)
        content = table("heading", jobs(self._overview.wall(), detailed=True), page.rows, "No jobs yet.")
        return await self._write(request, "Jobs", list_page("Jobs", "/jobs", filters, form, page, content), "/jobs")

    async def subscriptions(self, request: Any) -> bytes:
        """The list of subscriptions."""
        filters, form = self._by_scanner(request, "/subscriptions")
        found = [one for one in self._overview.describe_subscriptions()
                 if filters["scanner"] in ("", one["scanner"])]
        page = numbered(found, argument(request, "page"))
        if page is None:
            return await self._missing(request, _NO_PAGE)
        columns = subscriptions(self._overview.wall(), detailed=True)
        content = table("heading", columns, page.rows, "No subscriptions.")
        return await self._write(
            request, "Subscriptions", list_page("Subscriptions", "/subscriptions", filters, form, page, content),
            "/subscriptions")

    async def exchanges(self, request: Any) -> bytes:
        """The list of exchanges that are kept, newest first."""
        overview = self._overview
        scanner, operation = argument(request, "scanner"), argument(request, "operation")
        failed = is_set(argument(request, "failed"))
        found = overview.describe_exchanges(scanner=scanner, operation=operation, failed=failed, most=KEPT)
        page = preceding(found, argument(request, "before"))
        if page is None:
            return await self._missing(request, _NO_PAGE)
        operations = sorted({*NAMES, *(one.entry.operation for one in overview.log.since(0))})
        form = filter_form("/exchanges", choice("scanner", "Scanner", self._names(), scanner),
                           choice("operation", "Operation", operations, operation),
                           checkbox("failed", "Failed only", checked=failed))
        filters = {"scanner": scanner, "operation": operation, "failed": "1" if failed else ""}
        content = table("heading", exchanges(overview.wall()), page.rows, "No exchanges match.")
        return await self._write(
            request, "Exchanges", list_page("Exchanges", "/exchanges", filters, form, page, content), "/exchanges")

    async def exchange(self, request: Any, number: str) -> bytes:
        """One exchange with its messages."""
        overview = self._overview
        is_number = number.isascii() and number.isdigit() and len(number) < 18
        kept = overview.log.get(int(number)) if is_number else None
        if kept is None:
            return await self._missing(request, "This exchange is no longer kept, or never existed; /exchanges lists "
                                                "the latest ones.")
        masks = Masks(identify=overview.log.identify)
        asked, answered = (
            show(body, masks, cut=len(body) >= MAX_MESSAGE) if body else otherwise for body, otherwise in (
                (kept.request, "(not kept; only the messages of the latest exchanges are)"),
                (kept.response, _no_answer(kept.entry))))
        page = ExchangePage(describe(kept.entry), asked, answered, overview.wall())
        return await self._write(request, kept.entry.operation, page, "/exchanges")

    def _names(self) -> list[str]:
        cluster = self._overview.cluster
        followed = () if cluster is None else (one.scanner for one in cluster.ownerships())
        return sorted({*(scanner.name for scanner in self._overview.scanners), *followed})

    def _by_scanner(self, request: Any, path: str) -> tuple[dict[str, str], Tag]:
        """The filter by scanner that a request asks for, and its form."""
        scanner = argument(request, "scanner")
        return {"scanner": scanner}, filter_form(path, choice("scanner", "Scanner", self._names(), scanner))

    async def _missing(self, request: Any, reason: str) -> bytes:
        request.setResponseCode(404)
        return await write_problem(request, self._overview, 404, reason)

    async def _write(self, request: Any, title: str, content: Element | Tag, section: str) -> bytes:
        logged_in = self._access.token is not None and request.getCookie(COOKIE) is not None
        return await write(request, self._overview, title, content, section=section, logged_in=logged_in)


def _no_answer(entry: Entry) -> str:
    """The text in place of the answer of an exchange, if none is kept."""
    if entry.source == DISCOVERY:
        return "(none: an answer to a discovery message is an exchange of its own)"
    return "(no complete answer)" if entry.status is None else "(not kept: an image, or empty)"
