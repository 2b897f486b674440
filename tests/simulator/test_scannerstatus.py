"""Tests of simulator.scannerstatus: the ScannerStatus element and its events, as the specification shows them.

Attributes are unqualified, as those of ElementData; the specification's pages qualify them.
"""

from twisted.internet.task import Clock

from wsdgateway.simulator.conditions import KINDS, MEDIA_JAM
from wsdgateway.simulator.scannerstatus import Status

LAMP_ERROR, WARMING = KINDS["lamp-error"], KINDS["lamp-warming"]
START = 1137864147.0  # 2006-01-21T17:22:27Z, the time of the example in the specification


class Published:
    """A status whose events are kept."""

    def __init__(self):
        self.clock, self.events, self.scanning = Clock(), [], False
        self.clock.advance(START)
        self.ended = 0
        self.status = Status(
            later=self.clock.callLater, wall=self.clock.seconds, scanning=lambda: self.scanning,
            publish=lambda event, body: self.events.append((event, body)), on_end=self._count)

    def _count(self):
        self.ended += 1

    @property
    def names(self):
        return [event.removeprefix("ScannerStatus").removesuffix("Event") for event, _ in self.events]


def summary(state, reason):
    return ("ScannerStatusSummaryEvent", (
        f"<wscn:ScannerStatusSummaryEvent><wscn:StatusSummary><wscn:ScannerState>{state}</wscn:ScannerState>"
        f"<wscn:ScannerStateReasons><wscn:ScannerStateReason>{reason}</wscn:ScannerStateReason>"
        "</wscn:ScannerStateReasons></wscn:StatusSummary></wscn:ScannerStatusSummaryEvent>"))


def test_a_jam_is_reported_as_in_the_example_of_the_specification():
    made = Published()
    made.status.begin(MEDIA_JAM)
    assert made.names == ["Condition", "Summary"]
    assert made.events[1] == summary("Stopped", "MediaJam")


def test_a_lamp_failure_begins_and_ends_as_in_the_example_of_the_specification():
    made = Published()
    made.status.begin(LAMP_ERROR)
    assert made.events[0] == ("ScannerStatusConditionEvent", (
        '<wscn:ScannerStatusConditionEvent><wscn:DeviceCondition Id="1"><wscn:Time>2006-01-21T17:22:27.000Z</wscn:Time>'
        "<wscn:Name>LampError</wscn:Name><wscn:Component>Platen</wscn:Component><wscn:Severity>Critical"
        "</wscn:Severity></wscn:DeviceCondition></wscn:ScannerStatusConditionEvent>"))
    made.clock.advance(8.5)
    made.status.end(LAMP_ERROR)
    assert made.events[2:] == [("ScannerStatusConditionClearedEvent", (
        "<wscn:ScannerStatusConditionClearedEvent><wscn:DeviceConditionCleared><wscn:ConditionId>1</wscn:ConditionId>"
        "<wscn:ConditionClearTime>2006-01-21T17:22:35.500Z</wscn:ConditionClearTime></wscn:DeviceConditionCleared>"
        "</wscn:ScannerStatusConditionClearedEvent>")), summary("Idle", "None")]


def test_the_element_lists_active_conditions_and_those_that_have_ended():
    made = Published()
    made.status.begin(MEDIA_JAM)
    made.status.begin(LAMP_ERROR)
    made.clock.advance(1)
    made.status.end(MEDIA_JAM)
    assert made.status.element() == (
        "<wscn:ScannerStatus><wscn:ScannerCurrentTime>2006-01-21T17:22:28.000Z</wscn:ScannerCurrentTime>"
        "<wscn:ScannerState>Stopped</wscn:ScannerState><wscn:ScannerStateReasons><wscn:ScannerStateReason>LampError"
        "</wscn:ScannerStateReason></wscn:ScannerStateReasons><wscn:ActiveConditions>"
        '<wscn:DeviceCondition Id="2"><wscn:Time>2006-01-21T17:22:27.000Z</wscn:Time><wscn:Name>LampError</wscn:Name>'
        "<wscn:Component>Platen</wscn:Component><wscn:Severity>Critical</wscn:Severity></wscn:DeviceCondition>"
        '</wscn:ActiveConditions><wscn:ConditionHistory><wscn:ConditionHistoryEntry Id="1">'
        "<wscn:Time>2006-01-21T17:22:27.000Z</wscn:Time><wscn:Name>MediaJam</wscn:Name><wscn:Component>ADF"
        "</wscn:Component><wscn:Severity>Critical</wscn:Severity><wscn:ClearTime>2006-01-21T17:22:28.000Z"
        "</wscn:ClearTime></wscn:ConditionHistoryEntry></wscn:ConditionHistory></wscn:ScannerStatus>")


def test_only_a_changed_state_or_reason_is_reported():
    made = Published()
    made.status.tell()
    assert made.events == []
    made.status.begin(KINDS["busy"])  # no condition
    assert made.events == [summary("Processing", "None")]
    made.scanning = True
    made.status.tell()
    made.status.end(KINDS["busy"])
    assert made.names == ["Summary"]
    made.status.begin(MEDIA_JAM)
    made.status.begin(MEDIA_JAM)
    made.status.begin(LAMP_ERROR)  # another reason
    assert made.names == ["Summary", "Condition", "Summary", "Condition", "Summary"]


def test_a_lamp_is_warm_after_its_time():
    made = Published()
    made.status.begin(WARMING, 10.0)
    made.clock.advance(9.9)
    assert made.status.current == ("Processing", ("LampWarming",))
    assert made.ended == 0
    made.clock.advance(0.1)
    assert made.status.current == ("Idle", ("None",))
    assert made.ended == 1
    assert made.names == ["Condition", "Summary", "ConditionCleared", "Summary"]


def test_a_new_time_replaces_the_old_one_and_an_end_cancels_it():
    made = Published()
    made.status.begin(WARMING, 10.0)
    made.status.begin(WARMING, 100.0)
    made.clock.advance(50)
    assert made.status.has(WARMING)
    made.status.end(WARMING)
    assert made.clock.getDelayedCalls() == []
    made.status.begin(WARMING, 1.0)
    made.status.begin(WARMING)  # until it is ended
    made.clock.advance(1000)
    assert made.status.has(WARMING)


def test_a_reboot_reports_nothing():
    made = Published()
    made.status.begin(WARMING, 10.0)
    made.status.begin(MEDIA_JAM)
    made.events.clear()
    made.status.forget()
    made.status.tell()
    assert (made.events, made.clock.getDelayedCalls()) == ([], [])
    assert made.status.current == ("Idle", ("None",))
