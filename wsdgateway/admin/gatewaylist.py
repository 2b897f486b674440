"""The gateways of a cluster on the pages: a table of them, the state of Redis, and a tile."""

from typing import Any

from twisted.web.template import Tag, tags

from wsdgateway.admin.tables import Column, named, table
from wsdgateway.admin.times import moment

MAX_NAMES = 12  # scanners named in a row


def gateway_section(cluster: dict[str, Any], now: float) -> Tag:
    """The gateways, as `describe_cluster` describes them, below a line about Redis."""
    columns = (
        Column("Gateway", lambda one: _gateway(one, cluster["name"]), "first"),
        Column("Owns", lambda one: _count(one["scanners"]), "first last"),
        Column("Scanners", lambda one: _names(one["scanners"]), "long wide"),
        Column("Address for the others", lambda one: one["address"], "long"),
        Column("Version", lambda one: one["version"], "short", label="version"),
        Column("Last seen", lambda one: moment(one["last_seen"], now, precise=True), "time number", label="seen"))
    return tags.div(_redis(cluster["redis"], now),
                    table("gateways", columns, cluster["gateways"], "No gateway is registered."))


def is_redis_away(cluster: dict[str, Any]) -> bool:
    """True if Redis cannot be used."""
    return _is_away(cluster["redis"])


def _is_away(redis: dict[str, Any]) -> bool:
    return redis["reachable"] is False or redis["problem"] is not None


def _redis(redis: dict[str, Any], now: float) -> Tag:
    if _is_away(redis):
        style, text = "problem", "Redis cannot be used"
    elif redis["reachable"]:
        style, text = "good", "Redis answers"
    else:
        style, text = "quiet", "Redis has not been tried yet"
    since = redis["problem_since"]
    version = "" if redis["version"] is None else f" (version {redis['version']})"
    return tags.p(tags.span(text, class_=f"status {style}"),
                  tags.span(" since ", moment(since, now), class_="since") if since else "",
                  version, ": ", tags.code(redis["url"]),
                  (" – ", tags.bdi(redis["problem"])) if redis["problem"] else "", class_="redis")


def _gateway(one: dict[str, Any], own: str) -> Tag:
    here = tags.span(" (this one)", class_="quiet") if one["name"] == own else ""
    return tags.span(tags.strong(named(one["name"])), here)


def _count(scanners: list[str]) -> str:
    return f"{len(scanners)}\N{NO-BREAK SPACE}scanner{'s' * (len(scanners) != 1)}"


def _names(scanners: list[str]) -> Tag | str:
    parts = [part for name in scanners[:MAX_NAMES] for part in (", ", tags.a(tags.bdi(name), href=f"/scanners/{name}"))]
    more = len(scanners) - MAX_NAMES
    return tags.span(*parts[1:], f" and {more} more" if more > 0 else "") if parts else ""
