"""Windows' eSCL class driver: capabilities, status, job, status, pages until 404, DELETE.

Its requests have not been published. Known is that it believes AdfState and shows 409 as a paper jam; for the rest
this client uses what HTTP permits and other clients do not do: it waits for 100 Continue, sends its document in chunks,
and makes the eSCL namespace the default.
"""

from tests.loopback.escl.client import PWG, SCAN
from tests.loopback.escl.clients.session import BUSY, DUPLEX, EMPTY, ERROR, FEEDER, JAM, PLATEN, Failed, Replayed


class Windows(Replayed):
    """The client."""

    fields = (("Connection", "Keep-Alive"), ("User-Agent", "eSCL"), ("Host", None))
    sources = (PLATEN, FEEDER, DUPLEX)

    async def open(self):
        await self.get("ScannerCapabilities")

    async def scan(self, source, cancel_after=None):
        status = await self.status()
        if source != PLATEN and status.value("AdfState") == "ScannerAdfEmpty":
            raise Failed(EMPTY)
        self.job = await self._create(source)
        await self.status()
        pages = []
        while True:
            asking = await self.session.start("GET", f"{self.job}/NextDocument")
            if cancel_after == len(pages):
                assert await self.cancel_while_waiting(asking) == 410
                return pages
            answered = await self.session.finish(asking)
            if answered.status == 200:
                pages.append(answered)
            elif answered.status != 503:
                break
        await self.session.ask("DELETE", self.job)
        if answered.status != 404:
            raise Failed(JAM if answered.status == 409 else ERROR, answered.status)
        return pages

    async def _create(self, source):
        feeder = "Platen" if source == PLATEN else "Feeder"
        body = (
            f'<ScanSettings xmlns="{SCAN}" xmlns:sm="{PWG}">\r\n'
            "<sm:Version>2.0</sm:Version>\r\n"
            f"<sm:InputSource>{feeder}</sm:InputSource>\r\n"
            '<sm:ScanRegions sm:MustHonor="false">\r\n<sm:ScanRegion><sm:XOffset>0</sm:XOffset>'
            "<sm:YOffset>0</sm:YOffset><sm:Width>600</sm:Width><sm:Height>900</sm:Height>"
            "<sm:ContentRegionUnits>escl:ThreeHundredthsOfInches</sm:ContentRegionUnits></sm:ScanRegion>\r\n"
            "</sm:ScanRegions>\r\n<sm:DocumentFormat>image/jpeg</sm:DocumentFormat>\r\n"
            f"<ColorMode>{self.color}</ColorMode>\r\n<XResolution>100</XResolution>\r\n<YResolution>100</YResolution>"
            f"\r\n<Duplex>{str(source == DUPLEX).lower()}</Duplex>\r\n<Brightness>1000</Brightness>"
            "<Contrast>1000</Contrast></ScanSettings>").encode()
        answered = await self.session.ask("POST", f"{self.root}/ScanJobs", body, ("Content-Type", "text/xml"),
                                          ("Expect", "100-continue"), chunked=True)
        if answered.status != 201:
            raise Failed({409: JAM, 503: BUSY}.get(answered.status, ERROR), answered.status)
        return answered.headers["location"]
