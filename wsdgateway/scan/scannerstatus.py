"""Reads a scanner's status: its state, and the reasons and conditions behind it.

WS-Scan, ScannerStatus, ScannerState, ScannerStateReasons, ActiveConditions, DeviceCondition.
"""

import attrs
from lxml import etree

from wsdgateway.scan.reading import child, tag, text
from wsdgateway.scan.scannerconfiguration import MAX_VALUE, MAX_VALUES
from wsdgateway.soap.parsing import text_of


@attrs.frozen
class ScannerStatus:
    """A scanner's state. `reasons` are those of the state, then the names of the active conditions, each once.

    The reason `None` is left out.
    """

    state: str | None
    reasons: tuple[str, ...] = ()


def read_status(element: etree._Element) -> ScannerStatus:
    """The state in a ScannerStatus element."""
    listed, conditions = child(element, "ScannerStateReasons"), child(element, "ActiveConditions")
    found = [] if listed is None else [text_of(reason) for reason in listed.iterchildren(tag("ScannerStateReason"))]
    if conditions is not None:
        found += [text(condition, "Name") for condition in conditions.iterchildren(tag("DeviceCondition"))]
    told = dict.fromkeys(reason for reason in found if reason and reason != "None" and len(reason) <= MAX_VALUE)
    return ScannerStatus(text(element, "ScannerState"), tuple(told)[:MAX_VALUES])
