"""Reads the events about a scanner's status: its state, a condition that began or changed, one that was cleared.

WS-Scan, ScannerStatusSummaryEvent, ScannerStatusConditionEvent, ScannerStatusConditionClearedEvent. Devices deviate as
in the job events: they omit the outer element, the Id of a condition, or use the namespace of the specification's web
pages.
"""

import attrs
from lxml import etree

from wsdgateway.scan.reading import attribute, child, in_current_namespace, tag, text
from wsdgateway.scan.scannerconfiguration import MAX_VALUE
from wsdgateway.scan.scannerstatus import DeviceCondition, ScannerStatus, read_condition, read_conditions, read_status
from wsdgateway.soap.parsing import escape

_SUMMARY, _CONDITION, _CLEARED = (
    "ScannerStatusSummaryEvent", "ScannerStatusConditionEvent", "ScannerStatusConditionClearedEvent")


@attrs.frozen
class Cleared:
    """The Id of a condition that was cleared; empty if the event contains none."""

    id: str


StatusEvent = ScannerStatus | tuple[DeviceCondition, ...] | Cleared


def write_status_summary(status: ScannerStatus) -> str:
    """The StatusSummary element for a status with a state; the caller declares the prefix `wscn`."""
    reasons = "".join(f"<wscn:ScannerStateReason>{escape(reason)}</wscn:ScannerStateReason>"
                      for reason in status.state_reasons or ("None",))
    return (f"<wscn:StatusSummary><wscn:ScannerState>{escape(status.state or '')}</wscn:ScannerState>"
            f"<wscn:ScannerStateReasons>{reasons}</wscn:ScannerStateReasons></wscn:StatusSummary>")


def read_status_event(body: etree._Element | None) -> StatusEvent | None:
    """The content of a status event's Body: a state, the conditions that began or changed, or a cleared condition.

    None if it is another event, or has no usable content.
    """
    if body is None:
        return None
    body = in_current_namespace(body)
    if body.tag in (tag(_SUMMARY), tag("StatusSummary"), tag("ScannerStatus")):
        summary = child(body, "StatusSummary")
        if summary is None:
            summary = child(body, "ScannerStatus")
        status = read_status(body if summary is None else summary)
        return status if status.state is not None else None
    if body.tag == tag(_CONDITION):
        return read_conditions(body) or None
    if body.tag == tag("DeviceCondition"):
        condition = read_condition(body)
        return None if condition is None else (condition,)
    if body.tag in (tag(_CLEARED), tag("DeviceConditionCleared")):
        cleared = child(body, "DeviceConditionCleared")
        element = body if cleared is None else cleared
        found = (text(element, "ConditionId") or text(element, "DeviceConditionId") or text(element, "Id")
                 or attribute(element, "Id") or "")
        return Cleared(found if len(found) <= MAX_VALUE else "")
    return None
