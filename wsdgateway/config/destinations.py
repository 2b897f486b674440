"""Checks the `[[destination]]` sections as a whole: their keys against each other, and their names on each panel."""

from typing import Any

from wsdgateway.config.arraysections import array_section
from wsdgateway.config.mistakes import Mistakes
from wsdgateway.config.sections import Destination, Discovery
from wsdgateway.config.wrong import Section

MAX_ON_PANEL = 32  # destinations on the panel of one scanner


def check_destinations(values: dict[str, Any], mistakes: Mistakes) -> None:
    """Checks every `[[destination]]`; sections with other mistakes are left out."""
    found = [(position, one) for position, one in enumerate(values.get("destination", ())) if one is not None]
    for position, one in found:
        _check_one(array_section("destination", position, one.name), one, mistakes)
    discovery = values.get("discovery")
    adopts = isinstance(discovery, Discovery) and discovery.adopt
    names = [one.name for one in values.get("scanner", ()) if one is not None and one.bridge]
    for index, (position, one) in enumerate(found):
        former = next((before for before, other in found[:index]
                       if _share_panel(one, other, names, adopts=adopts)), None)
        if former is not None:
            mistakes.wrong(array_section("destination", position, one.name), "name", one.name, (
                "unique on each scanner's panel; another [[destination]] has the same name there"
                f"{mistakes.line_of(('destination', former, 'name'))}"))
    for name in names:
        shown_there = [(position, one) for position, one in found if one.is_for(name)]
        if len(shown_there) > MAX_ON_PANEL:
            position, one = shown_there[MAX_ON_PANEL]
            mistakes.wrong(array_section("destination", position, one.name), "scanners", list(one.scanners), (
                f"such that the panel of {name} shows at most {MAX_ON_PANEL} destinations"))


def _check_one(section: Section, one: Destination, mistakes: Mistakes) -> None:
    if one.folder is None and one.upload is None:
        mistakes.mistake(f"{section} has no place for its files; give folder, upload or both", section.path)
    if one.command and one.folder is None:
        mistakes.mistake(f"{section}: command needs folder, since the file of an upload is deleted after it was sent",
                         (*section.path, "command"))


def _share_panel(one: Destination, other: Destination, names: list[str], *, adopts: bool) -> bool:
    """True if both have one name, and some scanner's panel shows both."""
    if one.name != other.name:
        return False
    if any(one.is_for(name) and other.is_for(name) for name in names):
        return True
    return adopts and any(overlap(first, second) for first in one.scanners for second in other.scanners)


def overlap(first: str, second: str) -> bool:
    """True if two patterns with `*` and `?` match a common name."""
    ends = {(0, 0)}  # what can be left of both patterns after the same characters
    seen = set(ends)
    while ends:
        left, right = ends.pop()
        if left == len(first) and right == len(second):
            return True
        following: list[tuple[int, int]] = []
        if first[left:left + 1] == "*":
            following += [(left + 1, right), *([(left, right + 1)] if right < len(second) else [])]
        if second[right:right + 1] == "*":
            following += [(left, right + 1), *([(left + 1, right)] if left < len(first) else [])]
        one, other = first[left:left + 1], second[right:right + 1]
        if one and other and "*" not in (one, other) and ("?" in (one, other) or one == other):
            following.append((left + 1, right + 1))
        ends |= set(following) - seen
        seen |= set(following)
    return False
