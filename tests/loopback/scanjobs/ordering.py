"""Scan jobs of a gateway's own, as a front end would use them."""

import uuid

from lxml import etree

from tests.waiting import until
from wsdgateway.bridge.scanjobs.phases import Phase
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import Order
from wsdgateway.scan.documentparameters import DocumentParameters, write_scan_ticket
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.storage.spool import Spool

CLIENT = "192.0.2.7"


class Ticket:
    """A ticket for small pages."""

    def __init__(self, **more):
        self.wanted = DocumentParameters(**{"format": "jfif", "source": "Platen", "images": 1, "color": "RGB24",
                                            "resolution": 75, "size": (2000, 2000), **more})

    def write(self):
        xml = write_scan_ticket(self.wanted, job_name="eSCL scan", user=CLIENT)
        return etree.fromstring(f'<wscn:x xmlns:wscn="{WSCN}">{xml}</wscn:x>')[0]


def platen(**more):
    return Order(**{"tickets": (Ticket(),), "images": 1, "feeder": False, "client": CLIENT, **more})


def feeder(source="ADF", images=0, size=(2000, 2000), **more):
    return Order(**{"tickets": (Ticket(source=source, images=images, size=size),), "images": images, "feeder": True,
                    "client": CLIENT, **more})


class Jobs:
    """The own jobs of the only scanner of a gateway, with a spool in `folder`."""

    def __init__(self, service, folder, limit=1 << 30):
        self.service = service
        self.spool = Spool(folder)
        self.spool.open()
        self.room = Room(limit)
        self.own = service.scanner.own_jobs
        self.execution = self.own.execute(self.spool, self.room, lambda: str(uuid.uuid4()))

    @property
    def store(self):
        return self.service.store

    @property
    def files(self):
        return [path.name for path in self.spool.folder.glob("*.page")]

    def submit(self, order):
        return self.execution.submit(order)

    def read(self, page):
        reader = self.execution.open_page(page)
        try:
            return reader.read(0, 1 << 27)
        finally:
            reader.close()

    async def fetch(self, job):
        """Returns the next page, whole; None after the last one."""
        found = []

        def look():
            page = self.execution.next_page(job)
            found[:] = [page] if page is not None and page.complete else []
            return found or job.finished

        await until(look)
        if not found:
            return None
        self.execution.sending(job)
        data = self.read(found[0])
        self.execution.sent(job, found[0], whole=True)
        return data

    async def fetch_all(self, job):
        pages = []
        while (page := await self.fetch(job)) is not None:
            pages.append(page)
        return pages

    async def over(self, job):
        await until(lambda: job.phase is Phase.OVER)

    async def stop(self):
        await self.execution.stop()
        self.own.stop_leftovers()
        self.spool.close()
