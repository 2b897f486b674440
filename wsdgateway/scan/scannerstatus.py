"""Reads a scanner's status: its state, the reasons of the state, and the active conditions.

WS-Scan, ScannerStatus, StatusSummary, ScannerState, ScannerStateReasons, ActiveConditions, DeviceCondition. Vendors may
add names of their own to each list, so unknown names are kept as they are.
"""

import re
from itertools import islice

import attrs
from lxml import etree

from wsdgateway.scan.reading import attribute, child, tag, text
from wsdgateway.scan.scannerconfiguration import MAX_VALUE, MAX_VALUES
from wsdgateway.soap.parsing import text_of

INPUT_TRAY_EMPTY = "InputTrayEmpty"
STATES = ("Idle", "Processing", "Stopped")
IDLE, STOPPED = "Idle", "Stopped"
# The names of conditions and of reasons of a state; a condition that stops the scanner is given as both.
CONDITIONS = ("Calibrating", "CoverOpen", INPUT_TRAY_EMPTY, "InterlockOpen", "InternalStorageFull", "LampError",
              "LampWarming", "MediaJam", "MultipleFeedError")
ATTENTION_REQUIRED, PAUSED = "AttentionRequired", "Paused"
REASONS = (ATTENTION_REQUIRED, PAUSED)  # reasons that are not conditions
MAX_CONDITIONS = 64  # active at once

_WORDS = {"MediaJam": "paper jam", INPUT_TRAY_EMPTY: "feeder empty", ATTENTION_REQUIRED: "needs attention"}
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")


@attrs.frozen
class DeviceCondition:
    """An active condition. `id` and `component` are empty, and `severity` is None, if the scanner gives none."""

    name: str
    severity: str | None = None
    id: str = ""
    component: str = ""


@attrs.frozen
class ScannerStatus:
    """A scanner's state, the reasons of the state without the reason `None`, and the active conditions.

    `conditions` is None for a StatusSummary, which contains none.
    """

    state: str | None
    state_reasons: tuple[str, ...] = ()
    conditions: tuple[DeviceCondition, ...] | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons of the state, then the names of the active conditions, each once."""
        return tuple(dict.fromkeys((*self.state_reasons, *(one.name for one in self.conditions or ()))))


def read_status(element: etree._Element) -> ScannerStatus:
    """The state in a ScannerStatus or StatusSummary element. Names that are longer than `MAX_VALUE` are left out."""
    listed, active = child(element, "ScannerStateReasons"), child(element, "ActiveConditions")
    found = [] if listed is None else [text_of(reason) for reason in listed.iterchildren(tag("ScannerStateReason"))]
    reasons = dict.fromkeys(reason for reason in found if reason and reason != "None" and len(reason) <= MAX_VALUE)
    return ScannerStatus(
        _bounded(text(element, "ScannerState")), tuple(reasons)[:MAX_VALUES],
        None if active is None else read_conditions(active))


def read_conditions(element: etree._Element) -> tuple[DeviceCondition, ...]:
    """The conditions that an element contains, at most `MAX_CONDITIONS`; those without a usable name are left out."""
    found = (read_condition(condition) for condition in element.iterchildren(tag("DeviceCondition")))
    return tuple(islice((one for one in found if one is not None), MAX_CONDITIONS))


def read_condition(element: etree._Element) -> DeviceCondition | None:
    """The condition in a DeviceCondition element; None if it has no usable name."""
    name = _bounded(text(element, "Name"))
    if name is None or name == "None":
        return None
    return DeviceCondition(name, _bounded(text(element, "Severity")), _bounded(attribute(element, "Id")) or "",
                           _bounded(text(element, "Component")) or "")


def _bounded(value: str | None) -> str | None:
    return value if value and len(value) <= MAX_VALUE else None


def words_of(name: str) -> str:
    """The name of a condition or reason as people write it: "paper jam", "lamp error"; a vendor's name, if split."""
    words = _WORDS.get(name)
    if words is None and name.isascii() and name.isalnum():
        parts = _PARTS.findall(name)
        words = " ".join(part if len(part) > 1 and part.isupper() else part.lower() for part in parts)
    return words or name
