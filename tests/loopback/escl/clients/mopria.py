"""Mopria Scan on Android, which uses okhttp: capabilities, status, job, pages until 404, status, DELETE.

Connections persist. It asks for PDF by default, and lets the scanner choose the colour mode. It is known from logs of
servers only; the document is one that eSCL permits.
"""

from tests.loopback.escl.client import PWG, SCAN
from tests.loopback.escl.clients.session import BUSY, DUPLEX, EMPTY, ERROR, FEEDER, PLATEN, Failed, Replayed


class Mopria(Replayed):
    """The client."""

    fields = (("Host", None), ("Connection", "Keep-Alive"), ("Accept-Encoding", "gzip"), ("User-Agent", "okhttp/4.9.1"))
    sources = (PLATEN, FEEDER, DUPLEX)

    async def open(self):
        await self.get("ScannerCapabilities")
        await self.status()

    async def scan(self, source, cancel_after=None):
        status = await self.status()
        if source != PLATEN and status.value("AdfState") == "ScannerAdfEmpty":
            raise Failed(EMPTY)
        self.job = await self._create(source)
        pages = []
        while True:
            asking = await self.session.start("GET", f"{self.job}/NextDocument")
            if cancel_after == len(pages):
                assert await self.cancel_while_waiting(asking) == 410
                return pages
            answered = await self.session.finish(asking)
            if answered.status == 200:
                pages.append(answered)
            elif answered.status == 503:
                self.pauses.append(float(answered.headers["retry-after"]))
            else:
                break
        await self.status()
        assert (await self.session.ask("DELETE", self.job)).status == 200
        if answered.status != 404:
            raise Failed(ERROR, answered.status)
        return pages

    async def _create(self, source):
        feeder = "Platen" if source == PLATEN else "Feeder"
        duplex = f"<scan:Duplex>{str(source == DUPLEX).lower()}</scan:Duplex>" if feeder == "Feeder" else ""
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><scan:ScanSettings xmlns:scan="{SCAN}" xmlns:pwg="{PWG}">'
            "<pwg:Version>2.63</pwg:Version><scan:Intent>Document</scan:Intent><pwg:ScanRegions><pwg:ScanRegion>"
            "<pwg:ContentRegionUnits>escl:ThreeHundredthsOfInches</pwg:ContentRegionUnits><pwg:Height>900</pwg:Height>"
            "<pwg:Width>600</pwg:Width><pwg:XOffset>0</pwg:XOffset><pwg:YOffset>0</pwg:YOffset></pwg:ScanRegion>"
            f"</pwg:ScanRegions><pwg:InputSource>{feeder}</pwg:InputSource>"
            "<scan:ColorMode>AutoColorDetection</scan:ColorMode><scan:XResolution>100</scan:XResolution>"
            "<scan:YResolution>100</scan:YResolution><pwg:DocumentFormat>application/pdf</pwg:DocumentFormat>"
            f"<scan:DocumentFormatExt>application/pdf</scan:DocumentFormatExt>{duplex}</scan:ScanSettings>").encode()
        answered = await self.session.ask("POST", f"{self.root}/ScanJobs", body,
                                          ("Content-Type", "text/xml; charset=utf-8"))
        if answered.status != 201:
            raise Failed(BUSY if answered.status == 503 else ERROR, answered.status)
        return answered.headers["location"]
