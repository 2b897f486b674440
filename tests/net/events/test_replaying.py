"""Tests of net.events.replaying: what a new owner learns from the events of former ones."""

from tests.bridge.bridges import Bridge
from tests.messages import end_event, status_event
from wsdgateway.bridge.events.eventlog import Cursor, EventID, LoggedEvent, Past
from wsdgateway.net.events.replaying import Replay
from wsdgateway.scan.jobstatus import JobStatus

HOUR = 3600.0
TYPE = b"application/soap+xml"


def test_the_states_of_a_job_have_the_times_at_which_they_were_announced():
    bridge = Bridge()
    events = (LoggedEvent(EventID(1, 1), status_event(state="Processing", message_id="urn:uuid:1"), TYPE, at=1000.0),
              LoggedEvent(EventID(1, 2), end_event(message_id="urn:uuid:2"), TYPE, at=1007.0))
    Replay(Past(events, time=1000.0 + HOUR)).learn(bridge.scanner, None, bridge.now)
    [job] = bridge.scanner.table.jobs()
    assert job.timeline == ((bridge.now - HOUR, "Processing"), (bridge.now - HOUR + 7.0, "Completed"))


def test_an_event_is_not_later_than_the_takeover_though_the_clock_of_the_server_was_set_back():
    bridge = Bridge()
    event = LoggedEvent(EventID(1, 1), status_event(), TYPE, at=2000.0)
    Replay(Past((event,), time=1000.0)).learn(bridge.scanner, None, bridge.now)
    [job] = bridge.scanner.table.jobs()
    assert job.timeline == ((bridge.now, "Processing"),)


class Subscribers:
    """Two subscriptions to all events."""

    def sinks(self, action, identifiers):
        return [one for one in ("early", "late") if one in identifiers]

    def identifiers(self):
        return ()


def test_a_made_event_counts_as_given_to_the_subscriptions_that_had_begun():
    bridge = Bridge()
    first, made = EventID(1, 1), EventID(1, 2)
    event = LoggedEvent(made, status_event(state="Processing"), TYPE, made=True, at=1000.0)
    cursors = {"early": Cursor(made, first, first), "late": Cursor(made, made, made)}
    replay = Replay(Past((event,), cursors, time=1000.0))
    replay.learn(bridge.scanner, None, bridge.now)
    replay.deliver(Subscribers())
    own = JobStatus("1", "Processing", scans_completed=0)
    assert bridge.scanner.synthesis.announced("JobStatusEvent", own, bridge.now) == {"early"}
