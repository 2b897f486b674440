"""The destinations on panels: their names, scanners and last files, as plain values and as a table."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from twisted.web.template import Tag, tags

from wsdgateway.admin.tables import Column, table
from wsdgateway.admin.times import moment
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.destinations.shared import SharedDestinations

SHOWN = 3  # files of a destination, on the overview


def describe_destinations(shared: SharedDestinations, scanners: list[BridgedScanner],
                          uploads: Callable[[str], int]) -> list[dict[str, Any]]:
    """Describe each destination.

    `scanners` has the state of its registration at each scanner, as a word; `waiting` counts presses that wait there.
    `files` are the last ones, newest first, without their folder. `uploads` returns how many files of a destination
    wait for its upload server; without one, `uploads_waiting` is None.
    """
    return [{
        "name": one.name,
        "scanners": [{"name": scanner.name, "state": shown.registration.state, "waiting": len(shown.scans.presses)}
                     for scanner in scanners
                     if one.is_for(scanner.name) and (shown := scanner.destinations) is not None],
        "folder": one.folder is not None,
        "upload": one.upload is not None,
        "uploads_waiting": None if one.upload is None else uploads(one.name),
        "format": one.format,
        "files": [{"name": file.name, "scanner": file.scanner, "pages": file.pages, "time": _time(file.time)}
                  for file in shared.last.get(one.name, ())],
    } for one in shared.destinations]


def destinations_table(found: list[dict[str, Any]], now: float, panel_url: str | None) -> Tag:
    """The table of destinations; `panel_url` is the address of a page with the panel of a virtual scanner, or None."""
    columns = (
        Column("Name", lambda one: one["name"], "first"),
        Column("On the panel of", lambda one: _panels(one["scanners"]), "first last"),
        Column("Format", lambda one: one["format"], "short"),
        Column("Uploads waiting", lambda one: _number(one["uploads_waiting"]), "short", label="uploads waiting:"),
        Column("Last files", lambda one: _files(one["files"][:SHOWN], now), "long"))
    made = table("destinations", columns, found, "No destinations.")
    return made if panel_url is None else tags.div(
        made, tags.p(tags.a("Press the button of the virtual scanner", href=panel_url), class_="more"))


def _number(waiting: int | None) -> str:
    return "" if waiting is None else str(waiting)


def _panels(scanners: list[dict[str, Any]]) -> str:
    """The names of the scanners whose panels show a destination, then of those whose panels do not at the moment."""
    shown = [one["name"] for one in scanners if one["state"] == "subscribed"]
    others = [one["name"] for one in scanners if one["state"] != "subscribed"]
    return "; ".join(([", ".join(shown)] if shown else []) + (
        [f"not at the moment: {', '.join(others)}"] if others else []))


def _files(files: list[dict[str, Any]], now: float) -> Tag | str:
    if not files:
        return ""
    return tags.ol(*[tags.li(one["name"], " ", moment(one["time"], now)) for one in files], class_="files")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
