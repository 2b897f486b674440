"""Divides the rows of a list into pages."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import attrs

ROWS = 50  # on a page


@attrs.frozen
class Page:
    """One page of a list. `newer` and `older` are the parameters of the neighbouring pages, None without one.

    `label` is empty if there is no other page.
    """

    rows: list[dict[str, Any]]
    label: str
    newer: dict[str, str] | None = None
    older: dict[str, str] | None = None


def needed(wanted: str) -> int:
    """The number of rows that must be known for the page with that number: its own, those before it, and one more."""
    return (_number(wanted or "1") or 0) * ROWS + 1


def numbered(rows: Sequence[dict[str, Any]], wanted: str, *, counted: bool = True) -> Page | None:
    """The page with the number `wanted`, beginning with 1, which is also meant by an empty text.

    None if there is no such page. The first page exists even if it is empty. `counted` is false if `rows` are only the
    `needed` ones, so that the number of pages is not known.
    """
    last = max(1, -(-len(rows) // ROWS))
    number = _number(wanted or "1")
    if number is None or not 1 <= number <= last:
        return None
    shown = list(rows[(number - 1) * ROWS:number * ROWS])
    label = f"Page {number} of {last}" if counted or number == last else f"Page {number}"
    return Page(shown, label if last > 1 else "",
                newer=None if number == 1 else {} if number == 2 else {"page": str(number - 1)},
                older=None if number == last else {"page": str(number + 1)})


def preceding(rows: Sequence[dict[str, Any]], before: str) -> Page | None:
    """The rows, newest first, whose `number` is lower than `before`; an empty text means the newest rows.

    None if `before` is no number. Unlike numbered pages, these keep their rows while newer rows arrive.
    """
    limit = _number(before) if before else None
    if limit is None and before:
        return None
    begin = 0 if limit is None else next((at for at, row in enumerate(rows) if row["number"] < limit), len(rows))
    end = begin + ROWS
    newer: dict[str, str] | None = None
    if begin > 0:
        newer = {} if begin <= ROWS else {"before": str(rows[begin - ROWS - 1]["number"])}
    older = {"before": str(rows[end - 1]["number"])} if end < len(rows) else None
    shown = list(rows[begin:end])
    label = f"{begin + 1} to {begin + len(shown)} of {len(rows)}" if shown else f"None of {len(rows)}"
    return Page(shown, label, newer, older)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def link(path: str, filters: dict[str, str], parameters: dict[str, str]) -> str:
    """The address of a list with filters, without empty ones, and other parameters."""
    query = urlencode({**{name: value for name, value in filters.items() if value}, **parameters})
    return f"{path}?{query}" if query else path
