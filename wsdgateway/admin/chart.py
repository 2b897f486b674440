"""The chart of clients' requests during the last hour: those that the gateway answered, and those that it forwarded.

An SVG image that contains no text. The numbers are in the sentence that is its description, and in a table.
"""

from typing import Any

from twisted.web.template import Tag, tags

from wsdgateway.metrics import Totals

HEIGHT = 100
_WIDTH, _BAR = 10, 8  # of a minute, and of its bar
_ROW = 10  # minutes in a row of the table


def chart(minutes: list[Totals], identifier: str) -> Tag:
    """The chart of these minutes, oldest first. `identifier` names it on the page."""
    here, there = sum(one.here for one in minutes), sum(one.there for one in minutes)
    most = max(one.here + one.there for one in minutes)
    if not most:
        return tags.p("No requests in the last hour.", class_="quiet")
    bars = [bar for at, one in enumerate(minutes) for bar in _bars(at * _WIDTH, one, HEIGHT / most)]
    described = (f"{here:,} requests were answered by the gateway, {there:,} were forwarded to a scanner. "
                 f"At most {most:,} in a minute.")
    return tags.figure(
        tags.div(
            Tag("svg", attributes={"class": "hour", "viewBox": f"0 0 {len(minutes) * _WIDTH} {HEIGHT}",
                                   "preserveAspectRatio": "none", "role": "img", "aria-label": described},
                children=bars),
            tags.span(f"{most:,} a minute", class_="most"), class_="plot"),
        tags.div(tags.span("an hour ago"), tags.span("now"), class_="axis", **{"aria-hidden": "true"}),
        tags.figcaption(
            tags.span(f"{here:,} answered by the gateway", class_="here"), " ",
            tags.span(f"{there:,} forwarded to a scanner", class_="there")),
        tags.details(tags.summary("Show as a table"), _table(minutes), id=f"{identifier}-table"))


def _bars(x: int, one: Totals, scale: float) -> list[Any]:
    """The bar of one minute: the forwarded requests below, the answered ones above."""
    here, there = one.here * scale, one.there * scale
    parts = (("there", HEIGHT - there, there), ("here", HEIGHT - there - here, here))
    return [Tag("rect", attributes={"class": name, "x": str(x), "y": f"{y:.1f}", "width": str(_BAR),
                                    "height": f"{height:.1f}"}) for name, y, height in parts if height]


def _table(minutes: list[Totals]) -> Tag:
    rows = []
    for begin in range(0, len(minutes), _ROW):
        part = minutes[begin:begin + _ROW]
        ago = len(minutes) - begin
        rows.append(tags.tr(
            tags.th(f"{ago} to {ago - len(part)} minutes ago", scope="row"),
            tags.td(f"{sum(one.here for one in part):,}", class_="number"),
            tags.td(f"{sum(one.there for one in part):,}", class_="number")))
    heads = [tags.th(name, scope="col") for name in ("Time", "Answered by the gateway", "Forwarded to a scanner")]
    return tags.table(tags.thead(tags.tr(*heads)), tags.tbody(*rows), class_="plain")
