"""Fixtures for uploads: the stand-in of Paperless-ngx, and the upload queue with short pauses."""

import pytest
import pytest_twisted

from tests.paperless import TOKEN, Paperless
from tests.waiting import until
from wsdgateway.app.afterscan import AfterScan
from wsdgateway.bridge.uploads import pauses
from wsdgateway.config.reading import make_config
from wsdgateway.net.destinations.after import WrittenFile
from wsdgateway.net.transport.steadyclock import SteadyClock


@pytest_twisted.async_yield_fixture
async def paperless():
    server = Paperless()
    await server.start()
    yield server
    await server.stop()


@pytest_twisted.async_yield_fixture
async def server():
    """The stand-in, to be started by the test."""
    made = Paperless()
    yield made
    await made.stop()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(pauses, "FIRST", 0.02)


class Queue:
    """Uploads and commands with a configuration whose destinations are given, in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.failed = []
        self.passed, self.set_by = 0.0, 0.0
        self.trust = None
        self.token = folder / "token"
        self.token.write_text(f"Authorization: {TOKEN}\n")
        self.token.chmod(0o600)
        self.scans = folder / "scans"
        self.scans.mkdir()
        self.after = None

    def config(self, *destinations, **sections):
        return make_config({"listen": [{"endpoint": "tcp:5357"}], "destination": list(destinations), **sections},
                           str(self.folder / "g.toml"))

    def start(self, *destinations, **sections):
        from twisted.internet import reactor

        self.after = AfterScan(reactor, self.config(*destinations, **sections), SteadyClock(self.seconds, self.wall),
                               self.failed.append, trust=self.trust)
        self.after.open()
        self.after.start()

    def seconds(self):
        from twisted.internet import reactor

        return reactor.seconds() + self.passed

    def wall(self):
        return 1000000.0 + self.seconds() + self.set_by

    async def stop(self):
        after, self.after = self.after, None
        if after is not None:
            await after.stop()

    def write(self, name="scan.pdf", data=b"%PDF-1.7 scan", destination="Paperless"):
        path = self.scans / name
        path.write_bytes(data)
        self.after.written(WrittenFile(path, "front-desk", destination, 2))
        return path

    @property
    def left(self):
        """The names in the queue's folder, without the lock."""
        folder = self.folder / "uploads"
        return sorted(one.name for one in folder.iterdir() if one.is_file() and one.suffix in (".json", ".file"))

    @property
    def given_up(self):
        return sorted(one.name for one in (self.folder / "uploads" / "failed").iterdir())

    async def empty(self):
        await until(lambda: not self.left)


@pytest_twisted.async_yield_fixture
async def queue(tmp_path):
    made = Queue(tmp_path)
    yield made
    await made.stop()


def to(server, **more):
    """The section of a destination that uploads to a server."""
    return {"name": "Paperless", "upload": server.url, "upload_header_file": "token", **more}
