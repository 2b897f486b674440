"""Scanners on the pages: their state in words, a list of them, and the lines for sane-airscan."""

from typing import Any

from twisted.web.template import Tag, tags

from wsdgateway.admin.times import moment
from wsdgateway.bridge.cluster.state import ALONE, FOLLOWING, TAKING
from wsdgateway.bridge.frontends.browserpage import airscan_line
from wsdgateway.scan.conditions import listed

MAX_LINES = 200  # for sane-airscan
_STATES = {"Idle": "Idle", "Processing": "Scanning"}


def is_in_trouble(scanner: dict[str, Any]) -> bool:
    """True if the scanner has a problem."""
    return scanner["problem"] is not None


def is_elsewhere(scanner: dict[str, Any]) -> bool:
    """True if another gateway answers for the scanner, or none."""
    return scanner["ownership"] in (FOLLOWING, TAKING)


def by_trouble(scanners: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The scanners, those with a problem first; otherwise in their order."""
    return sorted(scanners, key=lambda scanner: not is_in_trouble(scanner))


def status(scanner: dict[str, Any]) -> Tag:
    """The state of a scanner in words, with a mark that does not depend on colors."""
    problem: str | None = scanner["problem"]
    if problem is not None:
        return tags.span(tags.bdi(problem[:1].upper() + problem[1:]), class_="status problem")
    if is_elsewhere(scanner):
        return _elsewhere(scanner)
    if scanner["reachable"] is None:
        return tags.span("Being searched for" if scanner["searched"] else "Not tried yet", class_="status quiet")
    state = _STATES.get(scanner["state"], scanner["state"] or "Reachable")
    alone = "without Redis" if scanner["ownership"] == ALONE else ""
    return tags.span(", ".join(filter(None, (state, listed(scanner["conditions"]), alone))),
                     class_="status active" if scanner["state"] == "Processing" else "status good")


def _elsewhere(scanner: dict[str, Any]) -> Tag:
    """Which other gateway answers for a scanner."""
    if scanner["ownership"] == TAKING:
        return tags.span("Being taken over", class_="status active")
    if scanner["owner"] is None:
        return tags.span("Owned by no gateway", class_="status quiet")
    return tags.span("With ", tags.bdi(scanner["owner"]), class_="status quiet")


def copied(identifier: str, text: str, meaning: str) -> tuple[Tag, Tag]:
    """A text, and the button that copies it, which the script shows. `meaning` is spoken after "Copy"."""
    return (tags.code(text, id=identifier),
            tags.button("Copy", type="button", class_="copy", hidden="hidden",
                        **{"data-copy": identifier, "aria-label": f"Copy {meaning}"}))


def rows(scanners: list[dict[str, Any]], now: float) -> Tag:
    """A list of scanners, two lines each."""
    if not scanners:
        return tags.p("No scanner is configured, and none has been found. On this host, ",
                      tags.code("wsdgateway discover --toml"), " prints sections for the configuration.",
                      class_="quiet")
    return tags.ul(*[_row(scanner, now) for scanner in scanners], class_="scanners")


def _row(scanner: dict[str, Any], now: float) -> Tag:
    name, url, by_escl = scanner["name"], scanner["client_url"], scanner["escl_url"]
    since = scanner["problem_since"]
    jobs = scanner["active_jobs"]
    return tags.li(
        tags.div(tags.a(tags.bdi(name), href=f"/scanners/{name}", class_="name"),
                 tags.bdi(scanner["friendly_name"] or scanner["model"] or "", class_="model quiet"), class_="who"),
        tags.div(status(scanner), (" ", tags.span("since ", moment(since, now), class_="since")) if since else "",
                 f", {jobs} active job{'s' * (jobs != 1)}" if jobs else "", class_="state"),
        tags.div(*(copied(f"url-{name}", url, f"the address of {name}") if url else (tags.code(scanner["path"]),)),
                 class_="address"),
        tags.div(*copied(f"escl-{name}", by_escl, f"the eSCL address of {name}"), class_="address escl")
        if by_escl else "")


def airscan(scanners: list[dict[str, Any]]) -> Tag | None:
    """The lines of the first `MAX_LINES` scanners for sane-airscan, folded; None if no address is known."""
    lines = [airscan_line(one["name"], one["client_url"]) for one in scanners[:MAX_LINES] if one["client_url"]]
    if not lines:
        return None
    text, button = copied("airscan", "\n".join(("[devices]", *lines)), "the lines for sane-airscan")
    return tags.details(
        tags.summary("Lines for sane-airscan"),
        tags.p("For ", tags.code("/etc/sane.d/airscan.conf"), " on Linux computers that do not find the scanners by "
               "themselves. ", button),
        tags.pre(text, tabindex="0", role="region", **{"aria-label": "Lines for sane-airscan"}), id="airscan-lines")
