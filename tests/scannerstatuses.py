"""Messages of a scanner about its status, handwritten according to the specification."""

from tests.messages import SCAN, envelope


def condition(name, *, id="1", severity="Critical", prefix="wscn:"):
    """Returns a DeviceCondition; without `id` or `severity` if they are None."""
    named = f' {prefix}Id="{id}"' if id is not None else ""
    how = f"<wscn:Severity>{severity}</wscn:Severity>" if severity is not None else ""
    return (f"<wscn:DeviceCondition{named}><wscn:Time>2026-11-22T10:00:00Z</wscn:Time><wscn:Name> {name}\n</wscn:Name>"
            f"<wscn:Component>ADF</wscn:Component>{how}</wscn:DeviceCondition>")


def state(name, *reasons):
    """Returns ScannerState and ScannerStateReasons."""
    listed = "".join(f"<wscn:ScannerStateReason>{reason}</wscn:ScannerStateReason>" for reason in reasons or ("None",))
    return f"<wscn:ScannerState>{name}</wscn:ScannerState><wscn:ScannerStateReasons>{listed}</wscn:ScannerStateReasons>"


def scanner_status(name, *reasons, conditions=()):
    """Returns a ScannerStatus element."""
    return (f"<wscn:ScannerStatus><wscn:ScannerCurrentTime>2026-11-22T10:00:00Z</wscn:ScannerCurrentTime>"
            f"{state(name, *reasons)}<wscn:ActiveConditions>{''.join(conditions)}</wscn:ActiveConditions>"
            "<wscn:ConditionHistory/></wscn:ScannerStatus>")


def status_answer(name, *reasons, conditions=(), relates_to="urn:uuid:1"):
    """Returns a GetScannerElementsResponse with a ScannerStatus."""
    return envelope(f"{SCAN}/GetScannerElementsResponse", (
        '<wscn:GetScannerElementsResponse><wscn:ScannerElements><wscn:ElementData Name="wscn:ScannerStatus" '
        f'Valid="true">{scanner_status(name, *reasons, conditions=conditions)}</wscn:ElementData>'
        "</wscn:ScannerElements></wscn:GetScannerElementsResponse>"), relates_to=relates_to)


def summary_event(name, *reasons, message_id="urn:uuid:summary-1"):
    """Returns a ScannerStatusSummaryEvent."""
    return envelope(f"{SCAN}/ScannerStatusSummaryEvent", (
        f"<wscn:ScannerStatusSummaryEvent><wscn:StatusSummary>{state(name, *reasons)}</wscn:StatusSummary>"
        "</wscn:ScannerStatusSummaryEvent>"), message_id=message_id)


def condition_event(name, *, message_id="urn:uuid:condition-1", **more):
    """Returns a ScannerStatusConditionEvent."""
    return envelope(f"{SCAN}/ScannerStatusConditionEvent", (
        f"<wscn:ScannerStatusConditionEvent>{condition(name, **more)}</wscn:ScannerStatusConditionEvent>"),
        message_id=message_id)


def cleared_event(id="1", *, element="ConditionId", message_id="urn:uuid:cleared-1"):
    """Returns a ScannerStatusConditionClearedEvent; without an Id if it is None."""
    named = f"<wscn:{element}> {id} </wscn:{element}>" if id is not None else ""
    return envelope(f"{SCAN}/ScannerStatusConditionClearedEvent", (
        f"<wscn:ScannerStatusConditionClearedEvent><wscn:DeviceConditionCleared>{named}<wscn:ConditionClearTime>"
        "2026-11-22T10:00:00Z</wscn:ConditionClearTime></wscn:DeviceConditionCleared>"
        "</wscn:ScannerStatusConditionClearedEvent>"), message_id=message_id)
