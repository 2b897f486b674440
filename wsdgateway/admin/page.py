"""The page for people: scanners, subscriptions and jobs, as they are at the moment it is loaded."""

from typing import Any

from twisted.web.iweb import IRequest
from twisted.web.template import Element, Tag, XMLString, flattenString, renderer, tags

from wsdgateway.admin.overview import Overview

MAX_ROWS = 200
_REACHABLE = {True: "yes", False: "no", None: "not tried yet"}

_TEMPLATE = """
<html xmlns:t="http://twistedmatrix.com/ns/twisted.web.template/0.1" lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title><t:transparent t:render="name"/> - wsdgateway</title>
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 80rem; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid #8886; white-space: nowrap; }
.wrap td { white-space: normal; overflow-wrap: anywhere; }
.problem { color: light-dark(#a40000, #ff9a9a); font-weight: 600; }
</style>
</head>
<body>
<h1>wsdgateway on <t:transparent t:render="name"/></h1>
<p t:render="problems"/>
<h2 id="scanners">Scanners</h2>
<div class="wide wrap"><table aria-labelledby="scanners"><thead><tr><th scope="col">Name</th>
<th scope="col">Address for clients</th><th scope="col">Scanner</th><th scope="col">Reachable</th>
<th scope="col">Announced as</th><th scope="col">Subscription</th><th scope="col">Active jobs</th></tr></thead>
<tbody><t:transparent t:render="scanners"/></tbody></table></div>
<h2 id="subscriptions">Subscriptions</h2>
<div class="wide wrap"><table aria-labelledby="subscriptions"><thead><tr><th scope="col">Scanner</th>
<th scope="col">Who listens</th><th scope="col">Told at</th><th scope="col">Events</th>
<th scope="col">On the panel as</th><th scope="col">Until</th><th scope="col">State</th></tr></thead>
<tbody><t:transparent t:render="subscriptions"/></tbody></table></div>
<h2 id="jobs">Jobs</h2>
<div class="wide"><table aria-labelledby="jobs"><thead><tr><th scope="col">Scanner</th><th scope="col">Job</th>
<th scope="col">State</th><th scope="col">Reasons</th><th scope="col">Pages</th><th scope="col">Created</th>
<th scope="col">Completed</th></tr></thead>
<tbody><t:transparent t:render="jobs"/></tbody></table></div>
</body>
</html>
"""


def _row(values: list[Any]) -> Tag:
    return tags.tr(*[tags.td("–" if value is None else str(value)) for value in values])


class _Page(Element):
    loader = XMLString(_TEMPLATE)

    def __init__(self, overview: Overview, jobs: list[dict[str, Any]]) -> None:
        super().__init__()
        self._overview = overview
        self._jobs = jobs

    @renderer
    def name(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._overview.name)

    @renderer
    def problems(self, request: IRequest, tag: Tag) -> Tag:
        problems = self._overview.problems()
        if not problems:
            return tag("Every listener is open.")
        return tag("Not ready: " + "; ".join(problems), class_="problem")

    @renderer
    def scanners(self, request: IRequest, tag: Tag) -> Tag:
        rows = [_row([scanner["name"], scanner["path"],
                      scanner["scan"] or ("searched for" if scanner["searched"] else "not known yet"),
                      _REACHABLE[scanner["reachable"]], scanner["stand_in"] if scanner["announced"] else None,
                      scanner["subscription"], scanner["active_jobs"]])
                for scanner in self._overview.describe_scanners()]
        return tag(*(rows or [tags.tr(tags.td("No scanner is configured, or was found.", colspan="7"))]))

    @renderer
    def subscriptions(self, request: IRequest, tag: Tag) -> Tag:
        rows = [_row(_listener(one)) for one in self._overview.describe_subscriptions()[:MAX_ROWS]]
        return tag(*(rows or [tags.tr(tags.td("Nobody listens, and no scanner is listened to.", colspan="7"))]))

    @renderer
    def jobs(self, request: IRequest, tag: Tag) -> Tag:
        rows = [_row(_cells(job)) for job in reversed(self._jobs[-MAX_ROWS:])]
        return tag(*(rows or [tags.tr(tags.td("No job has been seen yet.", colspan="7"))]))


def _listener(one: dict[str, Any]) -> list[Any]:
    if one["side"] == "device":
        return [one["scanner"], "this gateway, at the scanner", one["notify_to"], "all", None,
                one["expires"], one["state"]]
    events = "all" if one["events"] is None else " ".join(event.rpartition("/")[2] for event in one["events"])
    names = ", ".join(destination["name"] for destination in one["destinations"])
    state = one["state"] if not one["failures"] else (
        f"{one['failures']} tries failed, {one['waiting']} events wait")
    if names and one["panel"] not in ("subscribed", "renewing"):
        state += ", not on the panel at the moment"
    return [one["scanner"], one["client"], one["notify_to"], events, names or None, one["expires"], state]


def _cells(job: dict[str, Any]) -> list[Any]:
    state = "lost in a restart of the scanner" if job["lost"] else job["state"]
    reasons = " ".join(reason for reason in job["reasons"] if reason != "None")
    return [job["scanner"], job["job_id"], state, reasons, job["scans_completed"], job["created"], job["completed"]]


async def render_page(request: IRequest, overview: Overview) -> bytes:
    """The page as HTML."""
    jobs = await overview.describe_jobs()
    return b"<!DOCTYPE html>\n" + await flattenString(request, _Page(overview, jobs))
