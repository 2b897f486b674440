"""A scan job of the gateway's own: its order, its pages, and how it ended.

WS-Scan, CreateScanJob, RetrieveImage, CancelJob. The job has two sides: its phase is what happens at the scanner, and
its state is what its client is told, which also depends on the pages that the client has not fetched yet.
"""

from enum import Enum
from math import inf
from typing import Protocol

import attrs
from lxml import etree

from wsdgateway.bridge.scanjobs.phases import Phase
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.jobstates import ABORTED, CANCELED, COMPLETED, PENDING, PROCESSING

CLIENT_SECONDS = 90.0  # without a request, or a new page, after which a client counts as gone


class Ticket(Protocol):
    """A WS-Scan ScanTicket."""

    def write(self) -> etree._Element:
        """The ScanTicket element."""


class Reason(Enum):
    """The reasons for the end of a job."""

    FINISHED = "every page was scanned"
    CANCELED_BY_CLIENT = "the client canceled it"
    CLIENT_GONE = "the client sent no more requests"
    CANCELED_AT_DEVICE = "it was canceled at the scanner"
    FEEDER_EMPTY = "the feeder is empty"
    BUSY = "the scanner is busy"
    UNREACHABLE = "the scanner cannot be reached"
    REFUSED = "the scanner refused the job"
    STOPPED_AT_DEVICE = "the scanner stopped the job"
    FAILED = "the scanner failed to deliver a page"
    BROKEN_OFF = "the scanner broke off in the middle of a page"
    SPOOL_FULL = "the spool stayed full"
    SPOOL_FAILED = "the spool could not be written to"
    TOO_LARGE = "a page is larger than the part of the spool that a client may use"
    STOPPING = "the gateway is stopping"
    HANDED_OVER = "another gateway takes over the scanner"


_STATES = {Reason.FINISHED: COMPLETED, Reason.CANCELED_BY_CLIENT: CANCELED, Reason.CANCELED_AT_DEVICE: CANCELED}
# The client knows the end, or is told 404 as for an unknown job.
_TOLD = frozenset((Reason.FINISHED, Reason.FEEDER_EMPTY, Reason.CANCELED_BY_CLIENT))
_DISCARDS = frozenset((Reason.CANCELED_BY_CLIENT, Reason.CLIENT_GONE, Reason.STOPPING))


@attrs.frozen
class End:
    """The end of a job: its reason, the WS-Scan fault that caused it, if any, and the scanner's explanation."""

    reason: Reason
    fault: str | None = None
    text: str = ""

    @property
    def state(self) -> str:
        """The final state: Completed, Canceled or Aborted."""
        return _STATES.get(self.reason, ABORTED)

    @property
    def discards_pages(self) -> bool:
        """True if nobody will fetch the pages that have been scanned."""
        return self.reason in _DISCARDS


FINISHED = End(Reason.FINISHED)


@attrs.define(eq=False)
class Press:
    """A scan that was started at the panel: its ScanIdentifier, and the DestinationToken of the chosen destination.

    The scanner may give another token before the job is created.
    """

    identifier: str | None
    token: str | None


@attrs.frozen
class Order:
    """A job that a client asks for. Times are in seconds.

    `tickets` are tried in turn while the scanner refuses their format or values. `images` is the number of images, 0
    for all that the feeder holds. `client` is the client's IP address. A scanner that is busy is asked again for
    `patience`; a job that had to wait for its turn has at least `scanjobs.BUSY_SECONDS`. Without a request for
    `client_seconds` the client counts as gone; `inf`: never. `press` is set for a scan that was started at the panel.
    """

    tickets: tuple[Ticket, ...]
    images: int
    feeder: bool
    client: str
    name: str = ""
    patience: float = 0.0
    client_seconds: float = CLIENT_SECONDS
    press: Press | None = None

    @classmethod
    def without_client(cls, tickets: tuple[Ticket, ...], images: int, name: str, *, feeder: bool,
                       patience: float, press: Press | None = None) -> "Order":
        """The order of a job that the gateway itself uses the pages of."""
        return cls(tickets, images, feeder, "", name, patience, inf, press)


@attrs.define(eq=False)
class Page:
    """A page in the spool of a job of `client`. `number` counts from 1.

    `taken` is the number of bytes that have arrived, `size` of those that can be read from the file. `transferred`: the
    scanner has sent all of it. `complete`: all of it is in the file. `sent`: its client has received it whole. `gone`:
    its file has been deleted, because it broke off, was fetched, or the job was canceled; who reads it gets no more.
    """

    number: int
    taken: int = 0
    size: int = 0
    media_type: str = ""
    transferred: bool = False
    complete: bool = False
    sent: bool = False
    gone: bool = False
    client: str = ""


@attrs.define(eq=False)
class ScanJob:
    """A job. Only the engine changes it. `id` is the gateway's own name for it, which cannot be guessed.

    `ticket` is the index of the ticket in use, `created` the scanner's job. `pages` holds the pages in the spool,
    oldest first, `scanned` counts all complete ones, `fetched` those that were sent whole. `end` is set once it is
    known how the job ends, which may be before the scanner has been told, and `told` once the client has been answered
    that there are no more pages. `changed_at` is the time of the last change,
    in seconds on the engine's clock.
    """

    id: str
    order: Order
    changed_at: float
    phase: Phase = Phase.QUEUED
    ticket: int = 0
    created: CreatedJob | None = None
    pages: list[Page] = attrs.Factory(list)
    scanned: int = 0
    fetched: int = 0
    end: End | None = None
    finished_at: float | None = None
    told: bool = False
    # For the engine: times at which something is due, and counts.
    touched: float = 0.0
    sending: int = 0
    tries: int = 0
    largest: int = 0
    waited: bool = False
    held: bool = False
    began: float = 0.0
    wake_at: float = inf
    refusal: "Refusal | None" = None

    @property
    def state(self) -> str:
        """The state for the client: Pending, Processing, Completed, Canceled or Aborted.

        A job that has ended at the scanner stays Processing until its client has its last page.
        """
        if self.end is None:
            return PENDING if self.phase in _PENDING else PROCESSING
        return PROCESSING if self.unfetched else self.end.state

    @property
    def unfetched(self) -> bool:
        """True if there are pages that the client has not received whole."""
        return any(not page.sent for page in self.pages)

    @property
    def finished(self) -> bool:
        """True if the job has ended, for the client too."""
        return self.end is not None and not self.unfetched

    @property
    def settled(self) -> bool:
        """True if the job has ended at the scanner, and nothing is lost for its client if it is unknown from now on."""
        if self.phase is not Phase.OVER or self.end is None:
            return False
        return not self.order.client or (self.finished and self.end.reason in _TOLD)

    @property
    def arriving(self) -> Page | None:
        """The page that is arriving, or None."""
        return self.pages[-1] if self.pages and not self.pages[-1].complete else None


_PENDING = (Phase.QUEUED, Phase.CREATING, Phase.BUSY, Phase.RECORDING)


@attrs.frozen
class Refusal:
    """An answer without a job or an image: the name of the `fault`, or `HTTP 503`, and its text.

    `unreachable`: the scanner gave no usable answer. `lost`: the request had reached it then, so that it may have been
    carried out. `broken`: an image broke off.
    """

    fault: str
    text: str = ""
    unreachable: bool = False
    lost: bool = False
    broken: bool = False
