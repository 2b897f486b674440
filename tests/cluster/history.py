"""The history of a run: what clients asked and were answered, and what the scanner sent and received.

All times are seconds of one monotonic clock. Each entry has the moments between which it happened: an answer lasts from
before its request was sent until it was received completely.
"""

import attrs

PHASES = {"Creating": 0, "Pending": 1, "Held": 1, "Started": 2, "Processing": 3, "Terminating": 4, "Completed": 5,
          "Canceled": 5, "Aborted": 5}
TERMINATING, FINAL = 4, 5
FOREVER = float("inf")


@attrs.frozen
class Status:
    """The status of a job. `created` is its JobCreatedTime, None in a JobEndStateEvent, which has none."""

    job_id: str
    state: str
    scans: int = 0
    created: str | None = None
    reasons: tuple[str, ...] = ()

    @property
    def rank(self):
        """The phase of the job and the number of its pages: both only grow."""
        return PHASES[self.state], self.scans

    @property
    def is_final(self):
        """True if the job has ended."""
        return PHASES[self.state] == FINAL

    @classmethod
    def of(cls, status):
        """Returns the same as a `wsdgateway.scan.jobstatus.JobStatus`."""
        return cls(status.job_id, status.state, status.scans_completed or 0, status.created, status.reasons)

    def __str__(self):
        return f"{self.state} with {self.scans} pages"


@attrs.frozen
class Answer:
    """A client's request and its answer. `gateway` is the one that the client reached.

    `status` is set for a read, `statuses` for a list of jobs. `job_id` is the job that was asked for, created or
    canceled. `fault` names the fault; it is `NO_ANSWER` if there was no complete answer. `request` is the MessageID of
    a CreateScanJob. `sink` is that of the subscription that was granted, renewed or ended. `image` is the digest of the
    image that was fetched.
    """

    begin: float
    end: float
    gateway: str
    operation: str
    job_id: str | None = None
    status: Status | None = None
    fault: str | None = None
    request: str = ""
    client: str = ""
    sink: str | None = None
    image: str | None = None
    statuses: tuple[Status, ...] = ()

    @property
    def is_good(self):
        """True if the answer is not a fault."""
        return self.fault is None


NO_ANSWER = "no answer"


@attrs.frozen
class Announcement:
    """A notification that the scanner sent. `end` is when it received 202, None if it did not.

    `event` is its name; a job event has a `status`, a ScanAvailableEvent an `identifier`.
    """

    begin: float
    end: float | None
    gateway: str | None
    event: str
    status: Status | None = None
    identifier: str | None = None


@attrs.frozen
class Asked:
    """A request that reached the scanner, and its answer; `end` is None if it gave none.

    `job_id` is the job that a CreateScanJob made, or that an image was asked of; `statuses` are those of jobs in the
    answer, `image` is the digest of the image in it.
    """

    begin: float
    end: float | None
    gateway: str | None
    operation: str
    request: str | None = None
    job_id: str | None = None
    statuses: tuple[Status, ...] = ()
    image: str | None = None


@attrs.frozen
class Connection:
    """A connection to the scanner."""

    opened: float
    closed: float
    gateway: str | None = None


@attrs.frozen
class Subscription:
    """A client's subscription, granted at `granted` and ended by a request sent at `ended`; `sink` is its own."""

    sink: str
    granted: float
    ended: float = FOREVER
    events: tuple[str, ...] = ()  # none: every event of jobs

    def wants(self, event):
        """Whether an event with this name is to be delivered."""
        return event in (self.events or ("JobStatusEvent", "JobEndStateEvent"))


@attrs.frozen
class Delivery:
    """A notification that reached a client's sink."""

    at: float
    sink: str
    event: str
    message_id: str | None = None
    status: Status | None = None
    identifier: str | None = None


@attrs.frozen
class Pause:
    """The time in which a gateway was stopped (SIGSTOP), or went on `alone` beside another owner.

    What it has open at the scanner is not counted. One that is alone is compared with itself only.
    """

    gateway: str
    begin: float
    end: float
    alone: bool = False


@attrs.frozen
class Outage:
    """A time of which Redis may not have what the owner of the scanner was told: events, and jobs that began.

    The next owner does not know of them if there is a `Loss` then. `is_emptied`: Redis has lost what came before, too.
    A gateway that serves the scanner without a lease writes nothing to Redis, which is the same.
    """

    begin: float
    end: float
    is_emptied: bool = False


@attrs.frozen
class Loss:
    """A time in which a gateway loses what only its memory has: it ends, is stopped, or is no longer the owner."""

    gateway: str
    begin: float
    end: float


@attrs.frozen
class History:
    """Everything that happened in a run, with the scanner's limits."""

    answers: tuple[Answer, ...] = ()
    announcements: tuple[Announcement, ...] = ()
    asked: tuple[Asked, ...] = ()
    connections: tuple[Connection, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    pauses: tuple[Pause, ...] = ()
    outages: tuple[Outage, ...] = ()
    losses: tuple[Loss, ...] = ()
    max_connections: int | None = None
    max_rate: float | None = None
