"""Fixtures that start a gateway with destinations on the panel of a scanner."""

import re

import pytest
from lxml import etree
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from tests.loopback.gateways import LOOPBACK, sample, start_on_steady_clock
from tests.waiting import until
from wsdgateway.config.reading import make_config
from wsdgateway.soap.namespaces import WSCN


def pages_of(path):
    """The number of pages of a PDF."""
    return len(re.findall(rb"/Type\s*/Page\b", path.read_bytes()))


class Panel:
    """A gateway with destinations, and the scanner that it bridges."""

    def __init__(self, service, folder, scanner):
        self.service, self.folder, self.scanner = service, folder, scanner

    @property
    def files(self):
        """The names of the files that are complete."""
        return sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))

    @property
    def hidden(self):
        return sorted(path.name for path in self.folder.iterdir() if path.name.startswith("."))

    @property
    def registered(self):
        """The contexts that the panel of a virtual scanner shows."""
        return [context for held in self.scanner.device.subscribers.held.values() for context in held.destinations]

    @property
    def shared(self):
        return self.service.destinations.shared

    @property
    def ticket(self):
        """The ticket of the last job."""
        jobs = self.scanner.device.jobs
        job = [*jobs.finished(), *jobs.active()][-1]
        return etree.fromstring(f'<x xmlns:wscn="{WSCN}">{job.ticket}</x>')

    def press(self, position=0, source="Platen"):
        """Presses the button for the destination at that position in the configuration."""
        entry = self.service.scanner.destinations.entries[position]
        assert self.scanner.device.press(entry.context, source) == 1

    def counted(self, outcome, destination="Scans"):
        return sample(self.service, "wsdgateway_destination_files_total", destination=destination, outcome=outcome)

    async def ended(self, count=1, destination="Scans"):
        """Waits until so many files were written or scans have failed, and nothing is left of the scans."""
        await until(lambda: not self.hidden and self.counted("ok", destination)
                    + self.counted("failed", destination) >= count)


@pytest.fixture
def configured(tmp_path, running):
    """Starts a gateway: `await configured(url, *destinations, **sections)`."""

    async def start(url, *destinations, **sections):
        (tmp_path / "files").mkdir(exist_ok=True)
        config = make_config({
            "gateway": {"state": "sqlite:g.sqlite", "name": "test"}, "listen": [{"endpoint": LOOPBACK}],
            "scanner": [{"name": "front-desk", "scan": url}], "admin": {"endpoint": LOOPBACK},
            "destination": [{"name": "Scans", "folder": "files", **one} for one in destinations or ({},)],
            **sections}, str(tmp_path / "g.toml"))
        return await start_on_steady_clock(running, config)

    return start


@pytest.fixture
def panel(tmp_path, virtual, configured):
    """Starts a virtual scanner and a gateway with destinations: `await panel(*destinations, **scanner_settings)`."""

    async def start(*destinations, sections=None, shown=None, state="subscribed", **settings):
        scanner = await virtual(**settings)
        service = await configured(scanner.scan_url, *destinations, **(sections or {}))
        made = Panel(service, tmp_path / "files", scanner)
        await until(lambda: len(made.registered) == (shown or max(1, len(destinations))))
        await until(lambda: service.scanner.bridge.table.listening and (
            state is None or service.scanner.destinations.registration.state == state))
        return made

    return start


class Caught:
    """The lines of the log."""

    def __init__(self):
        self.events = []

    def all_warnings(self):
        """All warnings."""
        return [formatEvent(event) for event in self.events if event["log_level"] is LogLevel.warn]

    def warnings(self):
        """The warnings of scans from the panel."""
        return [formatEvent(event) for event in self.events if event["log_level"] is LogLevel.warn
                and event.get("destination") is not None]


@pytest.fixture
def caught():
    """Collects the log."""
    found = Caught()
    globalLogPublisher.addObserver(found.events.append)
    yield found
    globalLogPublisher.removeObserver(found.events.append)
