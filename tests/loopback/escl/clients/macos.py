"""macOS, Image Capture with AirScanScanner: a preview when it opens the scanner, then the scan.

It asks for the status again and again, also while a page arrives, on a second connection, and for the next page while
it still saves the last. It deletes each job. The document follows its version 41; where it is known from logs of
servers only, the order of requests does.
"""

from tests.loopback.escl.client import PWG, SCAN
from tests.loopback.escl.clients.session import BUSY, DUPLEX, EMPTY, ERROR, FEEDER, PLATEN, Failed, Replayed


class MacOS(Replayed):
    """The client. It names its own interface in Host, as it prefers link-local addresses."""

    fields = (("Host", "[fe80::1%25en0]:8400"), ("Accept", "*/*"), ("Accept-Language", "en-gb"),
              ("User-Agent", "AirScanScanner/41 CFNetwork/1568.100.1 Darwin/24.0.0"),
              ("Accept-Encoding", "gzip, deflate"), ("Connection", "keep-alive"))
    sources = (PLATEN, FEEDER, DUPLEX)

    async def open(self):
        await self.status()
        capabilities = await self.get("ScannerCapabilities")
        assert b"<scan:Platen>" in capabilities.body
        self.job = await self._create(PLATEN, 75)
        [preview] = await self._pages()
        assert preview.body.startswith(b"\xff\xd8")

    async def scan(self, source, cancel_after=None):
        status = await self.status()
        if source != PLATEN and status.value("AdfState") == "ScannerAdfEmpty":
            raise Failed(EMPTY)
        self.job = await self._create(source, 100)
        await self.status()
        return await self._pages(cancel_after)

    async def _pages(self, cancel_after=None):
        pages, asking = [], await self._ask_page()
        while True:
            if cancel_after == len(pages):
                assert await self.cancel_while_waiting(asking) == 410
                return pages
            status = await self.status()  # on the second connection
            assert self.job in status.values("JobUri")
            answered = await self.session.finish(asking)
            if answered.status == 200:
                pages.append(answered)
            elif answered.status != 503:
                break
            asking = await self._ask_page()
        await self.session.ask("DELETE", self.job)
        if answered.status != 404:
            raise Failed(ERROR, answered.status)
        await self.status()
        return pages

    async def _ask_page(self):
        return await self.session.start("GET", f"{self.job}/NextDocument")

    async def _create(self, source, dots):
        feeder = "Platen" if source == PLATEN else "Feeder"
        body = (
            f'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<scan:ScanSettings xmlns:scan="{SCAN}" '
            f'xmlns:pwg="{PWG}"><pwg:Version>2.0</pwg:Version><pwg:ScanRegions pwg:MustHonor="true"><pwg:ScanRegion>'
            "<pwg:ContentRegionUnits>escl:ThreeHundredthsOfInches</pwg:ContentRegionUnits><pwg:Width>600</pwg:Width>"
            "<pwg:Height>900</pwg:Height><pwg:XOffset>0</pwg:XOffset><pwg:YOffset>0</pwg:YOffset></pwg:ScanRegion>"
            "</pwg:ScanRegions><pwg:DocumentFormat>image/jpeg</pwg:DocumentFormat>"
            f"<pwg:InputSource>{feeder}</pwg:InputSource><scan:ColorMode>{self.color}</scan:ColorMode>"
            f"<scan:XResolution>{dots}</scan:XResolution><scan:YResolution>{dots}</scan:YResolution>"
            f"<scan:Duplex>{str(source == DUPLEX).lower()}</scan:Duplex></scan:ScanSettings>").encode()
        answered = await self.session.ask("POST", f"{self.root}/ScanJobs", body, ("Content-Type", "text/xml"))
        if answered.status != 201:
            raise Failed(BUSY if answered.status == 503 else ERROR, answered.status)
        return answered.headers["location"]
