"""SwiftESCL, the library of iOS apps: status, job, pages until 404, status; no DELETE.

It opens a URLSession, and with it a connection, for each request and leaves it open. To cancel a job it sends GET to
the job's address, which is no request of eSCL and which a server must not take for DELETE.
"""

import re

from tests.loopback.escl.client import PWG, SCAN
from tests.loopback.escl.clients.session import BUSY, DUPLEX, ERROR, FEEDER, PLATEN, Failed, Replayed

STATES = {"Idle", "Processing", "Testing", "Stopped", "Down"}
FEEDER_STATES = {f"ScannerAdf{name}" for name in (
    "Processing", "Empty", "Jam", "Loaded", "Mispick", "HatchOpen", "DuplexPageTooShort", "DuplexPageTooLong",
    "MultipickDetected", "InputTrayFailed", "InputTrayOverloaded")}
JOB_STATES = {"Canceled", "Aborted", "Completed", "Pending", "Processing"}


class SwiftEscl(Replayed):
    """The client. It fails to read a status with a value that it does not know."""

    fields = (("Host", None), ("Accept", "application/xml"), ("Connection", "keep-alive"),
              ("User-Agent", "Paperparrot/1 CFNetwork/1568.100.1 Darwin/24.0.0"), ("Accept-Language", "en-GB,en;q=0.9"),
              ("Accept-Encoding", "gzip, deflate"))
    persistent = False
    sources = (PLATEN, FEEDER, DUPLEX)

    async def open(self):
        await self.get("ScannerCapabilities")

    async def status(self):
        found = await super().status()
        assert found.value("State") in STATES
        assert found.value("AdfState") in FEEDER_STATES
        assert JOB_STATES.issuperset(found.values("JobState"))
        jobs = found.values("JobUri")
        assert all(re.search("/ScanJobs/([0-9a-f-]+)$", job) for job in jobs)
        assert len(jobs) == len(found.values("JobUuid")) == len(found.values("JobState"))
        return found

    async def scan(self, source, cancel_after=None):
        status = await self.status()
        if status.value("State") != "Idle":
            raise Failed(BUSY)
        self.job = await self._create(source)
        pages = []
        while cancel_after != len(pages):
            answered = await self.session.ask("GET", f"{self.job}/NextDocument")
            if answered.status == 503:
                self.pauses.append(1.0)
            elif answered.status == 404:
                break
            elif answered.status != 200:
                raise Failed(ERROR, answered.status)
            else:
                pages.append(answered)
        else:
            answered = await self.session.ask("GET", self.job)
            raise Failed(ERROR, answered.status)
        status = await self.status()
        assert dict(zip(status.values("JobUri"), status.values("JobState"), strict=True))[self.job] == "Completed"
        return pages

    async def _create(self, source):
        feeder = "Platen" if source == PLATEN else "Feeder"
        more = "\n<scan:Duplex>true</scan:Duplex>" if source == DUPLEX else ""
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n    <scan:ScanSettings xmlns:pwg="{PWG}" xmlns:scan="{SCAN}">\n'
            f"      <pwg:Version>2.63</pwg:Version>\n<pwg:InputSource>{feeder}</pwg:InputSource>\n"
            "<scan:DocumentFormatExt>application/pdf</scan:DocumentFormatExt>\n<scan:XResolution>100</scan:XResolution>"
            f"\n<scan:YResolution>100</scan:YResolution>\n<scan:ColorMode>{self.color}</scan:ColorMode>\n"
            "<pwg:ScanRegions>\n<pwg:ScanRegion>\n<pwg:Width>600</pwg:Width>\n<pwg:Height>900</pwg:Height>\n"
            "<pwg:ContentRegionUnits>escl:ThreeHundredthsOfInches</pwg:ContentRegionUnits>\n</pwg:ScanRegion>\n"
            f"</pwg:ScanRegions>{more}\n</scan:ScanSettings>").encode()
        answered = await self.session.ask("POST", f"{self.root}/ScanJobs", body,
                                          ("Content-Type", "application/x-www-form-urlencoded"))
        if answered.status != 201:
            raise Failed(BUSY if answered.status == 503 else ERROR, answered.status)
        return answered.headers["location"]
