"""NAPS2 on .NET: capabilities, status, job, pages until 404 or 410; DELETE only after a cancel or an error.

Its connections persist, and its GET requests have no field but Host. It waits ten seconds for every answer but that to
NextDocument, for which it waits two minutes.
"""

from tests.loopback.escl.client import PWG, SCAN
from tests.loopback.escl.clients.session import (
    BUSY,
    DUPLEX,
    EMPTY,
    ERROR,
    FEEDER,
    JAM,
    OFFLINE,
    PLATEN,
    Failed,
    Replayed,
)

TRIES = 5  # for a page
PATIENCE, PAGE_PATIENCE = 10.0, 120.0  # seconds, for most answers and for the first byte of a page


class Naps2(Replayed):
    """The client. It asks for PNG, or else PDF, in black and white, and for JPEG otherwise."""

    fields = (("Host", None),)
    sources = (PLATEN, FEEDER, DUPLEX)

    async def open(self):
        self.capabilities = await self.get("ScannerCapabilities")

    async def scan(self, source, cancel_after=None):
        await self.open()
        self._check(await self.status(), source)
        self.job = await self.create(source)
        pages = []
        while True:
            if cancel_after == len(pages):
                waiting = await self.session.start("GET", f"{self.job}/NextDocument")
                assert await self.cancel_while_waiting(waiting) == 410
                return pages
            page = await self.next_page()
            if page is None:
                return pages
            pages.append(page)

    def _check(self, status, source):
        state, feeder = status.value("State"), status.value("AdfState")
        if state in ("Processing", "Testing", "Stopped"):
            raise Failed(BUSY)
        if state == "Down":
            raise Failed(OFFLINE)
        if source != PLATEN and feeder in ("ScannerAdfEmpty", "ScannerAdfJam"):
            raise Failed(EMPTY if feeder == "ScannerAdfEmpty" else JAM)

    async def create(self, source, size=(600, 900), dots=100):
        answered = await self._post(self.color, source, size, dots)
        if answered.status == 409 and self.color == "BlackAndWhite1":
            answered = await self._post("Grayscale8", source, size, dots)
        if answered.status != 201:
            raise Failed(ERROR, answered.status)
        return answered.headers["location"]

    async def _post(self, color, source, size, dots):
        formats = self.capabilities.values("DocumentFormat")
        media = "image/jpeg" if color != "BlackAndWhite1" else (
            "image/png" if "image/png" in formats else "application/pdf")
        width, height = size
        feeder = "Platen" if source == PLATEN else "Feeder"
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><scan:ScanSettings xmlns:scan="{SCAN}" xmlns:pwg="{PWG}">'
            "  <pwg:Version>2.0</pwg:Version>  <scan:Intent>TextAndGraphic</scan:Intent>"
            f'  <pwg:ScanRegions pwg:MustHonor="true">    <pwg:ScanRegion>      <pwg:Height>{height}</pwg:Height>'
            "      <pwg:ContentRegionUnits>escl:ThreeHundredthsOfInches</pwg:ContentRegionUnits>"
            f"      <pwg:Width>{width}</pwg:Width>      <pwg:XOffset>0</pwg:XOffset>"
            "      <pwg:YOffset>0</pwg:YOffset>    </pwg:ScanRegion>  </pwg:ScanRegions>"
            f"  <pwg:InputSource>{feeder}</pwg:InputSource>"
            f"  <scan:Duplex>{str(source == DUPLEX).lower()}</scan:Duplex>  <scan:ColorMode>{color}</scan:ColorMode>"
            f"  <scan:XResolution>{dots}</scan:XResolution>  <scan:YResolution>{dots}</scan:YResolution>"
            f"  <pwg:DocumentFormat>{media}</pwg:DocumentFormat></scan:ScanSettings>").encode()
        return await self.session.ask("POST", f"{self.root}/ScanJobs", body,
                                      ("Content-Type", "text/xml; charset=utf-8"))

    async def next_page(self):
        for _ in range(TRIES + 1):
            answered = await self.session.ask("GET", f"{self.job}/NextDocument")
            while answered.status == 503:
                self.pauses.append(2.0)
                answered = await self.session.ask("GET", f"{self.job}/NextDocument")
            if answered.status == 200:
                assert answered.body
                return answered
            if answered.status in (404, 410):
                return None
            status = await self.status()
            states = dict(zip(status.values("JobUri"), status.values("JobState"), strict=True))
            if states.get(self.job, "Unknown") not in ("Pending", "Processing", "Unknown"):
                break
            self.pauses.append(1.0)
        await self.session.ask("DELETE", self.job)
        raise Failed(ERROR, answered.status)
