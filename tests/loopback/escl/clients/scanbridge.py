"""ScanBridge for Android, with the library eSCLKt: capabilities, job, pages until 404, the status after each, DELETE.

After a 503 it asks for the status until the job has images to transfer or has ended. It reads no capabilities without a
serial number, and no status without the elements of `JOB`.
"""

import re

from tests.loopback.escl.client import PWG, SCAN
from tests.loopback.escl.clients.session import BUSY, DUPLEX, ERROR, FEEDER, PLATEN, Failed, Replayed

JOB = ("JobUri", "JobUuid", "Age", "ImagesCompleted", "JobState")
POLLS = 60


class ScanBridge(Replayed):
    """The client."""

    fields = (("Host", None), ("Connection", "Keep-Alive"), ("Accept-Encoding", "gzip"), ("User-Agent", "ktor-client"),
              ("Accept-Charset", "UTF-8"))
    sources = (PLATEN, FEEDER, DUPLEX)

    async def open(self):
        found = await self.session.ask("GET", f"{self.root}/ScannerCapabilities", None, ("Accept", "*/*"))
        assert found.status == 200
        assert all(found.value(name) for name in ("Version", "MakeAndModel", "SerialNumber"))
        assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found.value("UUID"))
        assert b"<scan:DocumentFormats>" in found.body  # it compares the prefix

    async def status(self):
        found = await super().status()
        assert all(len(found.values(name)) == len(found.values("JobUri")) for name in JOB)
        return found

    async def scan(self, source, cancel_after=None):
        self.job = await self._create(source)
        pages, polling = [], False
        while True:
            if polling and not await self._poll():
                return pages
            if cancel_after == len(pages):
                asking = await self.session.start("GET", f"{self.job}/NextDocument", None, ("Accept", "application/*"))
                assert await self.cancel_while_waiting(asking) == 410
                return pages
            answered = await self.session.ask("GET", f"{self.job}/NextDocument", None, ("Accept", "application/*"))
            state = await self._state()
            if answered.status == 200:
                pages.append(answered)
                assert answered.headers["content-type"]
            elif answered.status == 503 and state != "Completed":
                polling = True
            else:
                break
        assert (await self.session.ask("DELETE", self.job)).status == 200
        if (answered.status, state) != (404, "Completed"):
            raise Failed(ERROR, answered.status)
        return pages

    async def _state(self):
        status = await self.status()
        return dict(zip(status.values("JobUri"), status.values("JobState"), strict=True)).get(self.job)

    async def _poll(self):
        """Returns False if the job has ended, which is then deleted."""
        for _ in range(POLLS):
            status = await self.status()
            number = status.values("JobUri").index(self.job)
            state = status.values("JobState")[number]
            if state not in ("Processing", "Pending"):
                await self.session.ask("DELETE", self.job)
                if state != "Completed":
                    raise Failed(ERROR)
                return False
            if int(status.values("ImagesToTransfer")[number]):
                return True
            self.pauses.append(1.0)
            await self.pause()
        return True

    async def _create(self, source):
        feeder = "Platen" if source == PLATEN else "Feeder"
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><scan:ScanSettings xmlns:scan="{SCAN}" xmlns:pwg="{PWG}">'
            "<pwg:Version>2.63</pwg:Version><scan:Intent>Photo</scan:Intent><pwg:ScanRegions><pwg:ScanRegion>"
            "<pwg:Height>900</pwg:Height><pwg:Width>600</pwg:Width><pwg:XOffset>0</pwg:XOffset>"
            "<pwg:YOffset>0</pwg:YOffset><pwg:ContentRegionUnits>escl:ThreeHundredthsOfInches</pwg:ContentRegionUnits>"
            "</pwg:ScanRegion></pwg:ScanRegions><scan:DocumentFormatExt>image/jpeg</scan:DocumentFormatExt>"
            f"<pwg:InputSource>{feeder}</pwg:InputSource><scan:XResolution>100</scan:XResolution>"
            f"<scan:YResolution>100</scan:YResolution><scan:ColorMode>{self.color}</scan:ColorMode>"
            f"<scan:Duplex>{str(source == DUPLEX).lower()}</scan:Duplex></scan:ScanSettings>").encode()
        answered = await self.session.ask("POST", f"{self.root}/ScanJobs", body, ("Accept", "*/*"),
                                          ("Content-Type", "text/xml"))
        if answered.status != 201:
            raise Failed(BUSY if answered.status == 503 else ERROR, answered.status)
        return answered.headers["location"]
