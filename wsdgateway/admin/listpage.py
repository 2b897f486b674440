"""The lists on pages of their own: scanners, jobs, exchanges and subscriptions, with filters and paging."""

from collections.abc import Iterable
from typing import Any

from twisted.web.template import Tag, tags

from wsdgateway.admin.page import heading
from wsdgateway.admin.paging import Page, link


def list_page(name: str, path: str, filters: dict[str, str], form: Tag | str, page: Page, content: Tag) -> Tag:
    """A list with its filter and the links to the other pages. `filters` are the parameters of these links, too."""
    return tags.div(
        heading(name), form,
        tags.div(content, _pages(page, path, filters), id="live-list", **{"data-live": "list"}))


def filter_form(path: str, *fields: Tag) -> Tag:
    """The form that filters a list."""
    return tags.form(*fields, tags.button("Show", type="submit"), method="get", action=path, class_="filter")


def choice(name: str, label: str, values: Iterable[str], chosen: str) -> Tag:
    """A selection among these values, or all."""
    options = [tags.option("all", value="")]
    for value in values:
        option = tags.option(value, value=value)
        options.append(option(selected="selected") if value == chosen else option)
    return tags.div(tags.label(label, for_=name), tags.select(*options, id=name, name=name))


def checkbox(name: str, label: str, *, checked: bool) -> Tag:
    """A checkbox."""
    box = tags.input(type="checkbox", id=name, name=name, value="1")
    return tags.div(box(checked="checked") if checked else box, tags.label(label, for_=name), class_="check")


def _pages(page: Page, path: str, filters: dict[str, str]) -> Tag:
    if not page.label:
        return tags.transparent()
    parts: list[Any] = [tags.span(page.label, class_="quiet")]
    if page.newer is not None:
        parts.insert(0, tags.a("Newer", href=link(path, filters, page.newer), rel="prev"))
    if page.older is not None:
        parts.append(tags.a("Older", href=link(path, filters, page.older), rel="next"))
    return tags.nav(*[(part, " ") for part in parts], class_="pages", **{"aria-label": "Pages"})
