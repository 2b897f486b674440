"""Limits each client's use of the gateway: requests per second, connections, and concurrent jobs.

The configuration's `[limits] client_…`. A client is an IP address, or for IPv6 a network of 64 bits, since a host can
use all addresses of its network.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache
from ipaddress import ip_network
from itertools import count

import attrs

from wsdgateway.bridge.access.permission import plain_address
from wsdgateway.bridge.events.sinks import Network
from wsdgateway.soap.faults import Fault
from wsdgateway.tokenbucket import SourceLimit

JOBS_AT_ONCE = "jobs"  # the name in the metrics
# A TLS handshake takes about as much CPU time as ten requests that are answered from the table.
HANDSHAKE_COSTS = 10.0
MAX_JOBS = 10000  # jobs whose clients are remembered, for all clients together
# The gateway may not learn that a job has ended. A scanner ends one itself 60 seconds after the last RetrieveImage
# (WS-Scan), and most have only one page, after which the client sends no more requests.
FORGOTTEN_SECONDS, AFTER_IMAGE_SECONDS = 120.0, 15.0


@lru_cache(maxsize=8192)
def client_of(address: str) -> str:
    """The key under which a client is counted."""
    plain = plain_address(address)
    if plain is None or plain.version == 4:
        return address if plain is None else str(plain)
    return str(ip_network((plain, 64), strict=False))


@attrs.define(eq=False)
class CountedJob:
    """A job that counts for a client, by its key, until a time. No other job of this process has the same name.

    `is_shared` is set when it has been counted for all gateways as well, or may have been.
    """

    client: str
    name: str
    until: float
    is_shared: bool = False


class Quotas:
    """The quotas of clients. Networks in `unlimited` have none. Times are in seconds on one monotonic clock.

    Among several gateways `on_change` is called with each shared job whose end has changed, or that has ended; its
    `until` is 0 then.
    """

    def __init__(self, *, requests: float, connections: int, jobs: int, unlimited: Iterable[Network]) -> None:
        self._jobs: OrderedDict[tuple[str, Hashable], CountedJob] = OrderedDict()
        self._numbers = count(1)
        self.on_change: Callable[[CountedJob], None] = lambda job: None
        self.change(requests=requests, connections=connections, jobs=jobs, unlimited=unlimited)

    def change(self, *, requests: float, connections: int, jobs: int, unlimited: Iterable[Network]) -> None:
        """Replace the limits."""
        self._rate = SourceLimit(requests)
        # A small request quota must still leave room for the requests that follow a handshake: many clients open a
        # connection for each request.
        self._handshake = min(HANDSHAKE_COSTS, (requests - 1.0) / 10.0)
        self._connections = connections
        self.most_jobs = jobs
        networks = tuple(unlimited)

        def is_limited(client: str) -> bool:
            address = plain_address(client)
            return address is not None and not any(address in network for network in networks)

        self.is_limited = lru_cache(maxsize=8192)(is_limited)

    def share_of(self, client: str) -> str | None:
        """The key of a client that is limited to its share; None if it is not limited."""
        return client_of(client) if self.is_limited(client) else None

    def admits_request(self, client: str, now: float) -> bool:
        """True if the client may send a request now; counts it if so."""
        return not self.is_limited(client) or self._rate.spend(client_of(client), now)

    def admits_handshake(self, client: str, now: float) -> bool:
        """True if the client may begin a TLS connection now; counts it as several requests if so."""
        return not self.is_limited(client) or self._rate.spend(client_of(client), now, self._handshake)

    def connections_beyond(self, client: str, count: int) -> int:
        """The number of connections beyond a client's limit; 0 or less if it is within it."""
        return count - self._connections if self.is_limited(client) else 0

    # Jobs, identified by the scanner's name and the JobId.

    def admits_job(self, client: str, now: float) -> bool:
        """True if the client may begin another job."""
        if not self.is_limited(client):
            return True
        owner = client_of(client)
        return sum(job.client == owner and now < job.until for job in self._jobs.values()) < self.most_jobs

    def job_began(self, client: str, scanner: str, job_id: Hashable, now: float) -> None:
        """Record that a job is created for the client. Until its JobId is known, `job_id` is any other key for it."""
        self._count(scanner, job_id, CountedJob(client_of(client), f"{scanner} {next(self._numbers)}", 0.0), now)

    def job_created(self, client: str, scanner: str, former: Hashable, job_id: str, now: float) -> None:
        """Record the JobId of a job that was counted under another key."""
        job = self._jobs.pop((scanner, former), None)
        if job is None:
            self.job_began(client, scanner, job_id, now)
        else:
            self._count(scanner, job_id, job, now)

    def _count(self, scanner: str, job_id: Hashable, job: CountedJob, now: float) -> None:
        self.job_ended(scanner, job_id)
        job.until = now + FORGOTTEN_SECONDS
        self._jobs[scanner, job_id] = job
        if len(self._jobs) > MAX_JOBS:
            self._jobs.popitem(last=False)

    def to_share(self, client: str, scanner: str, job_id: Hashable) -> CountedJob | None:
        """The job that is to be counted for all gateways before it is created; None if its client is not limited."""
        return self._jobs.get((scanner, job_id)) if self.is_limited(client) else None

    def image_fetched(self, scanner: str, job_id: str, now: float) -> None:
        """Record that an image of the job was sent to a client."""
        job = self._jobs.get((scanner, job_id))
        if job is not None:
            job.until = now + AFTER_IMAGE_SECONDS
            self._changed(job)

    def job_ended(self, scanner: str, job_id: Hashable) -> None:
        """Record that the job has ended."""
        job = self._jobs.pop((scanner, job_id), None)
        if job is not None:
            job.until = 0.0
            self._changed(job)

    def _changed(self, job: CountedJob) -> None:
        if job.is_shared:
            self.on_change(job)


def no_quotas() -> Quotas:
    """Make quotas that limit no client."""
    return Quotas(requests=1.0, connections=1, jobs=1, unlimited=(ip_network("0.0.0.0/0"), ip_network("::/0")))


def too_many_jobs(most: int) -> Fault:
    """The fault for a client that has the maximum number of jobs running."""
    return Fault("Receiver", "wscn:ServerErrorTemporaryError", (
        f"This client has reached the limit of {most} running jobs; wait until one has ended, or cancel one, and try "
        "again."))
