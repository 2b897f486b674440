"""The control interface of the virtual scanner as a page for browsers: its state, its panel, and some actions."""

from collections.abc import Iterable
from html import escape
from typing import Any
from urllib.parse import quote

_SOURCES = (("Platen", "the platen"), ("ADF", "the feeder"), ("ADFDuplex", "the feeder, both sides"))
_ACTIONS = (("feeder?pages=3", "Put 3 sheets into the feeder"), ("feeder?pages=0", "Empty the feeder"),
            ("jam", "Jam the paper"), ("clear", "Clear all trouble"), ("reboot", "Switch off and on"))


def control_page(state: dict[str, Any], shown: Iterable[tuple[str, str]]) -> bytes:
    """The page. `shown` has the ClientContext and the name of each destination on the panel."""
    names = "".join(
        f"<li>{escape(name or context)}: "
        + " ".join(_button(f"press?context={quote(context, safe='')}&source={source}", f"Scan from {words}")
                   for source, words in _SOURCES) + "</li>" for context, name in shown)
    conditions = ", ".join(map(str, state["conditions"])) or "none"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Virtual scanner</title></head><body>'
        "<h1>Virtual scanner</h1>"
        f"<p>{escape(str(state['state']))}; conditions: {escape(conditions)}; {state['feeder']} sheet(s) in the feeder."
        "</p>"
        f"<h2>Panel</h2>{f'<ul>{names}</ul>' if names else '<p>The panel shows no names.</p>'}"
        f"<h2>Actions</h2><p>{' '.join(_button(action, name) for action, name in _ACTIONS)}</p>"
        "<p>More: docs/command-line.md.</p></body></html>\n").encode()


def _button(action: str, name: str) -> str:
    return (f'<form method="post" action="{escape(action)}" style="display:inline"><button>{escape(name)}</button>'
            "</form>")
