"""The virtual scanner without a network, and what its subscribers would be told."""

import re

import pytest
from twisted.internet.task import Clock

from tests.messages import SCAN, envelope, get_job_elements
from wsdgateway.scan.jobelements import read_response
from wsdgateway.scan.jobs import read_created
from wsdgateway.simulator.device import VirtualDevice
from wsdgateway.simulator.jobs import Page
from wsdgateway.simulator.settings import Settings
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import Refused


class FakeSubscribers:
    """Replaces the subscribers, and keeps the events that they would get."""

    def __init__(self):
        self.events = []
        self.held = {}

    def publish(self, event, body):
        self.events.append((event, body))

    def has_token(self, token):
        return token == "good"

    def forget(self):
        """Does nothing, since there are no subscriptions."""


class Scanner:
    """A virtual scanner with these settings, on a clock of its own."""

    def __init__(self, **settings):
        self.clock, self.subscribers = Clock(), FakeSubscribers()
        self.device = VirtualDevice(
            Settings(**settings), self.subscribers, later=self.clock.callLater, wall=lambda: 1e9)

    @property
    def told(self):
        """The events since it was last read: the name of each, and the state or condition in it."""
        events, self.subscribers.events = self.subscribers.events, []
        return [(event.removesuffix("Event"),
                 re.search("<wscn:(?:JobState|JobCompletedState|ScannerState|Name|ConditionId)>([^<]+)<", body)[1])
                for event, body in events]

    def do(self, name, content=""):
        body = read(envelope(f"{SCAN}/{name}", f"<wscn:{name}Request>{content}</wscn:{name}Request>")).body
        result = self.device.operate(name, body)
        if isinstance(result, Page):
            return result
        return read(envelope("x", result)).body

    def fault(self, name, content=""):
        """The name of the fault with which an operation is refused."""
        with pytest.raises(Refused) as caught:
            self.do(name, content)
        return caught.value.fault.name

    def create(self, source="Platen", more=""):
        return read_created(self.do("CreateScanJob", ticket(source, more)))

    def refused(self, source="Platen"):
        """The name of the fault with which a job is refused."""
        return self.fault("CreateScanJob", ticket(source))

    def retrieve(self, job):
        """Retrieves a page. Returns its number, or the name of the fault that the client gets instead."""
        try:
            page = self.do("RetrieveImage", named(job, job.job_token))
        except Refused as refused:
            return refused.fault.name
        fault = self.device.scan_page(page)
        if fault is not None:
            return fault.name
        self.device.page_sent(page.job)
        return page.number

    def state(self, job):
        result = self.device.operate("GetJobElements", read(get_job_elements(job.job_id)).body)
        status = read_response(read(envelope("x", result)).body).status
        return status.state, status.scans_completed, status.reasons[0]


def ticket(source, more=""):
    return (f"{more}<wscn:ScanTicket><wscn:JobDescription><wscn:JobName>n</wscn:JobName></wscn:JobDescription>"
            f"<wscn:DocumentParameters><wscn:InputSource>{source}</wscn:InputSource></wscn:DocumentParameters>"
            "</wscn:ScanTicket>")


def named(job, token=None):
    token = f"<wscn:JobToken>{token}</wscn:JobToken>" if token else ""
    return f"<wscn:JobId>{job.job_id}</wscn:JobId>{token}"
