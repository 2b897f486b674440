"""The stateful model of the job table's guarantees, with gateways that take over the scanner from each other.

The owner is killed at any moment, and the next one begins with the finished jobs in the store and the last events that
the scanner was told to be received; its requests die with it. What was shown or announced at one owner binds the next.
"""

import re

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.bridge.jobs.test_jobtable_model import JobTableModel
from wsdgateway.bridge.events.intake import read_notification
from wsdgateway.bridge.jobs.jobtable import LATE_SECONDS

RESTARTED = None  # in the log: the scanner has restarted, or may have


class TakeoverModel(JobTableModel):
    def __init__(self):
        super().__init__()
        self.log = []  # the events that were answered with 202
        self.late, self.late_until = [], 0.0

    the_gateway_is_killed_and_starts_again = None  # here, that is a takeover

    def take(self, event):
        self.log.append(event)
        super().take(event)

    def job_id_after(self, number):
        return number + 1  # JobIds are reused after a restart only

    @rule(is_renewed=st.sampled_from([True, True, False]), kept=st.sampled_from([0, 1, 2, 256, 256, 256]))
    def another_gateway_takes_over(self, is_renewed, kept):
        self.start()
        del self.log[:max(len(self.log) - kept, 0)]  # what was trimmed does not come back
        for event in self.log:
            if event is RESTARTED:
                self.bridge.rebooted()
            else:
                self.bridge.notifications.replay(read_notification(event), self.now, at=self.now, is_own=True)
        self.bridge.notifications.taken_over(self.now)
        self.flying.clear()
        self.waiting.clear()
        for known in (self.confirmed, self.asked, self.answered):
            known.clear()
        if is_renewed:
            self.bridge.notifications.resumed()
            self.late, self.late_until = list(self.events), self.now + LATE_SECONDS
        else:
            self.bridge.rebooted()
            self.events.clear()  # their address is gone with the subscription
            self.log.append(RESTARTED)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 5.0, 31.0]))
    def time_passes(self, seconds):
        super().time_passes(seconds)
        if self.now >= self.late_until:
            self.events = [event for event in self.events if event not in self.late]
            self.late.clear()

    @rule()
    def device_reboots(self):
        known = dict(self.known)
        super().device_reboots()
        # The next owner may learn an end from the log that this one could not assign to a job.
        self.known.update({job_id: one for job_id, one in known.items() if self.has_logged_end(job_id, one[0])})
        self.log.append(RESTARTED)

    def has_logged_end(self, job_id, number):
        end = re.compile(rb"JobId>%b<.*>(Completed|Aborted|Canceled)<.*>n%dv" % (job_id.encode(), number), re.DOTALL)
        return any(end.search(event) for event in self.log if event is not RESTARTED)


TestTakeover = TakeoverModel.TestCase
TestTakeover.settings = settings(max_examples=150, stateful_step_count=60, deadline=None,
                                 suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
