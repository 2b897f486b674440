"""Requests of the soak's clients, which report every status that they receive to the checker."""

import asyncio
import time
from collections import Counter, deque

from http_client import Broken, Client, message

from tests.messages import get_job_elements
from wsdgateway.scan.jobelements import read_response
from wsdgateway.scan.jobs import CreatedJob, read_created, write_create, write_retrieve
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.parsing import Malformed

RECENT = 6  # jobs of each scanner that pollers read
_TICKET = (
    "<wscn:ScanTicket><wscn:JobDescription><wscn:JobName>Soak</wscn:JobName></wscn:JobDescription>"
    "<wscn:DocumentParameters><wscn:InputSource>ADF</wscn:InputSource><wscn:ImagesToTransfer>2</wscn:ImagesToTransfer>"
    "<wscn:MediaSides><wscn:MediaFront><wscn:ScanRegion><wscn:ScanRegionWidth>6000</wscn:ScanRegionWidth>"
    "<wscn:ScanRegionHeight>6000</wscn:ScanRegionHeight></wscn:ScanRegion><wscn:Resolution><wscn:Width>100</wscn:Width>"
    "<wscn:Height>100</wscn:Height></wscn:Resolution></wscn:MediaFront></wscn:MediaSides></wscn:DocumentParameters>"
    "</wscn:ScanTicket>")



def fault_name(answer):
    """Returns the name of the fault in an answer, or else the start of the answer."""
    try:
        return fault_of(read(answer)) or ""
    except Malformed:
        return answer[:30].decode("latin-1").strip()


class ClientActions:
    """Requests of clients. `checker` receives the statuses, `done` counts requests, `failures` lists errors."""

    def __init__(self, testbed, checker, seed):
        self.testbed, self.checker, self.seed = testbed, checker, seed
        self.recent = {name: deque(maxlen=RECENT) for name in testbed.scanners}
        self.stop = asyncio.Event()
        self.done, self.failures = Counter(), []

    async def ask(self, client, scanner, body, seconds=30.0, path="scan"):
        """Returns status and body; the status is None if no answer came, which is expected during faults."""
        try:
            status, answer = await client.ask(f"/{scanner}/{path}", body, seconds)
        except Broken:
            self.done["no answer"] += 1
            return None, b""
        if status != 200:
            self.done[f"{status} {fault_name(answer)}"] += 1
        return status, answer

    async def read_status(self, client, scanner, job_id):
        sent = self.checker.moment()
        status, answer = await self.ask(client, scanner, get_job_elements(job_id))
        if status != 200:
            return None
        self.done["status reads"] += 1
        found = read_response(read(answer).body)
        self.checker.read(scanner, job_id, found and found.status, sent)
        return found and found.status

    async def create(self, client, scanner, more=""):
        """Returns JobId and JobToken; None while the scanner has another job or is unreachable."""
        sent = time.time()
        self.checker.creating(scanner)
        status, answer = await self.ask(client, scanner, message("CreateScanJob", write_create(more + _TICKET)))
        created = read_created(read(answer).body) if status == 200 else None
        if created is None:
            return None
        self.done["jobs"] += 1
        self.checker.created(scanner, created.job_id, sent)
        self.recent[scanner].append(created.job_id)
        return created.job_id, created.job_token

    async def fetch(self, client, scanner, job_id, token):
        """Fetches all pages and returns their number."""
        for page in range(10):
            status, answer = await self.ask(client, scanner, message(
                "RetrieveImage", write_retrieve(CreatedJob(job_id, token), "p")))
            if status != 200:
                return page
            if not answer.rstrip().endswith(b"--"):
                self.checker.violated(6, f"{scanner}, job {job_id}: an incomplete image appeared complete")
            self.done["pages"] += 1
        return 10

    async def works(self, scanner, seconds):
        """Returns whether a scan succeeds within so many seconds, with repeated attempts."""
        client, end = Client(self.testbed.port), time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                job = await self.create(client, scanner)
                if job is not None and await self.fetch(client, scanner, *job):
                    return await self.read_status(client, scanner, job[0]) is not None
                await asyncio.sleep(1.0)
            return False
        finally:
            client.close()
