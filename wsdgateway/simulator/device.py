"""The behaviour of the virtual scanner: the operations of WS-Scan and the panel.

WS-Scan, "WSD Scan Service Operation Elements", with the faults of each operation.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
from lxml import etree

from wsdgateway.scan.jobelements import write_response
from wsdgateway.scan.jobstatus import write_job_status
from wsdgateway.scan.operations import JOB_END_STATE, JOB_STATUS, SCAN_AVAILABLE
from wsdgateway.scan.reading import text
from wsdgateway.simulator.conditions import COVER_OPEN, INPUT_TRAY_EMPTY, MEDIA_JAM, Conditions
from wsdgateway.simulator.description import (
    documents,
    image_information,
    job_end_state,
    job_summary,
    parameters,
    scanner_elements,
)
from wsdgateway.simulator.elements import write_requested
from wsdgateway.simulator.events import Subscribers
from wsdgateway.simulator.jobs import JobEvent, Jobs, VirtualJob
from wsdgateway.simulator.settings import Settings
from wsdgateway.simulator.ticket import Ticket, read_ticket
from wsdgateway.soap.faults import Fault, Refused, action_not_supported, invalid_args
from wsdgateway.soap.parsing import escape

NO_IMAGES = Fault("Sender", "wscn:ClientErrorNoImagesAvailable", "The server has no images available to acquire.", 400)
UNKNOWN_JOB = Fault("Sender", "wscn:ClientErrorJobIdNotFound", "The specified JobId was not found.", 400)
BAD_TOKEN = Fault("Sender", "wscn:ClientErrorInvalidJobToken", "The JobToken is not that of the job.", 400)
BAD_DESTINATION = Fault("Sender", "wscn:ClientErrorInvalidDestinationToken",
                        "The DestinationToken parameter value is not currently valid.", 400)
BAD_IDENTIFIER = Fault("Sender", "wscn:ClientErrorInvalidScanIdentifier",
                       "The ScanIdentifier parameter value is not currently valid.", 400)
BUSY = Fault("Receiver", "wscn:ServerErrorNotAcceptingJobs",
             "The service is temporarily blocked and cannot accept new job or document requests.", 500)


@attrs.frozen(eq=False)
class Page:
    """The result of a granted RetrieveImage: send page `number` of the job."""

    job: VirtualJob
    number: int


class VirtualDevice:
    """The scanner without its network interface.

    `later` is `reactor.callLater`; `wall` gives the seconds since 1970.
    """

    def __init__(self, settings: Settings, subscribers: Subscribers, *, later: Callable[..., Any],
                 wall: Callable[[], float]) -> None:
        self.settings = settings
        self.subscribers = subscribers
        self.jobs = Jobs()
        self.conditions = Conditions(wall)
        self.feeder = settings.feeder_pages
        self._later = later
        self._wall = wall
        self._timers: dict[str, Any] = {}
        self._pressed: set[str] = set()

    @property
    def feeder(self) -> int:
        """The number of sheets in the feeder."""
        return self._feeder

    @feeder.setter
    def feeder(self, sheets: int) -> None:
        self._feeder = sheets
        self.conditions.set(INPUT_TRAY_EMPTY, sheets == 0)

    @property
    def jammed(self) -> bool:
        """True if paper is jammed."""
        return self.conditions.has(MEDIA_JAM)

    @jammed.setter
    def jammed(self, stuck: bool) -> None:
        self.conditions.set(MEDIA_JAM, stuck)

    @property
    def stopped(self) -> tuple[str, ...]:
        """The names of the conditions that keep the scanner from scanning."""
        return tuple(name for name in (MEDIA_JAM, COVER_OPEN) if self.conditions.has(name))

    def operate(self, name: str, body: etree._Element | None) -> str | Page:
        """The content of the answer's Body, or the page to send. Raises `Refused`."""
        perform = self._operations.get(name)
        if perform is None:
            raise Refused(action_not_supported(name))
        if body is None:
            raise Refused(invalid_args("The Body is empty."))
        return perform(self, body)

    def _get_scanner_elements(self, body: etree._Element) -> str:
        busy = any(job.busy for job in self.jobs.active())
        state = "Stopped" if self.stopped else "Processing" if busy else "Idle"
        reasons = ("AttentionRequired", *self.stopped) if self.stopped else ("None",)
        known = scanner_elements(self.settings, state=state, reasons=reasons,
                                 conditions=self.conditions.active(), wall=self._wall())
        return ("<wscn:GetScannerElementsResponse><wscn:ScannerElements>"
                f"{write_requested(body, known)}</wscn:ScannerElements></wscn:GetScannerElementsResponse>")

    def _validate_scan_ticket(self, body: etree._Element) -> str:
        ticket = read_ticket(body)
        valid, instead = "true", ""
        if ticket.problem is not None:
            valid, instead = "false", ticket.written("ValidScanTicket")
        return (f"<wscn:ValidateScanTicketResponse><wscn:ValidationInfo><wscn:ValidTicket>{valid}</wscn:ValidTicket>"
                f"{image_information(ticket.source, ticket.page)}{instead}</wscn:ValidationInfo>"
                "</wscn:ValidateScanTicketResponse>")

    def _create_scan_job(self, body: etree._Element) -> str:
        ticket = read_ticket(body)
        if ticket.problem is not None:
            raise Refused(ticket.problem)
        self._check_destination(body)
        if self.stopped or self.jobs.active():
            raise Refused(BUSY)
        if ticket.source != "Platen" and self.feeder == 0:
            raise Refused(NO_IMAGES)
        job, events = self._create(ticket)
        self._publish(events)
        self._watch(job)
        return (f"<wscn:CreateScanJobResponse><wscn:JobId>{job.job_id}</wscn:JobId>"
                f"<wscn:JobToken>{job.token}</wscn:JobToken>{image_information(job.source, job.page)}"
                f"{parameters(job.source, job.page, job.wanted, 'DocumentFinalParameters')}"
                "</wscn:CreateScanJobResponse>")

    def _create(self, ticket: Ticket) -> tuple[VirtualJob, list[JobEvent]]:
        return self.jobs.create(source=ticket.source, page=ticket.page, name=ticket.name, user=ticket.user,
                                ticket=ticket.written("ScanTicket"), wanted=ticket.images, wall=self._wall())

    def _check_destination(self, body: etree._Element) -> None:
        identifier, token = text(body, "ScanIdentifier"), text(body, "DestinationToken")
        if token is not None and not self.subscribers.has_token(token):
            raise Refused(BAD_DESTINATION)
        if identifier is not None:
            if identifier not in self._pressed:
                raise Refused(BAD_IDENTIFIER)
            self._pressed.discard(identifier)

    def _retrieve_image(self, body: etree._Element) -> Page:
        job = self._job(body)
        if text(body, "JobToken") != job.token:
            raise Refused(BAD_TOKEN)
        if job.final:
            raise Refused(NO_IMAGES)
        if job.busy:
            raise Refused(BUSY)
        self._publish(self.jobs.begin_page(job))
        return Page(job, job.scanned + 1)

    def page_sent(self, job: VirtualJob) -> None:
        """Record that the last byte of a page has been sent."""
        if job.final:
            return
        if job.source == "Platen":
            last = True
        else:
            count = job.scanned + 1
            ended = count == job.wanted
            # Each side of a sheet is an image; a sheet leaves the feeder even if its back is not requested.
            if job.source != "ADFDuplex" or count % 2 == 0 or ended:
                self.feeder = max(0, self.feeder - 1)
            last = ended or (self.feeder == 0 and (job.source != "ADFDuplex" or count % 2 == 0))
        self._publish(self.jobs.end_page(job, last=last, wall=self._wall()))
        if not job.final:
            self._watch(job)
        elif self.feeder == 0 and job.source != "Platen" and self.settings.refill:
            self.feeder = self.settings.feeder_pages

    def page_broken(self, job: VirtualJob) -> None:
        """Abort the job of a page whose client disconnected before the end."""
        if not job.final:
            self._publish(self.jobs.abort(job, "ImageTransferError", self._wall()))

    def _cancel_job(self, body: etree._Element) -> str:
        job = self._job(body)
        if not job.final:
            self._publish(self.jobs.cancel(job, self._wall()))
        return "<wscn:CancelJobResponse/>"

    def _get_job_elements(self, body: etree._Element) -> str:
        job = self._job(body)
        return write_response(write_requested(body, {
            "JobStatus": write_job_status(job.status), "ScanTicket": job.ticket, "Documents": documents(job)}))

    def _get_active_jobs(self, body: etree._Element) -> str:
        listed = "".join(map(job_summary, self.jobs.active()))
        return f"<wscn:GetActiveJobsResponse><wscn:ActiveJobs>{listed}</wscn:ActiveJobs></wscn:GetActiveJobsResponse>"

    def _get_job_history(self, body: etree._Element) -> str:
        listed = "".join(map(job_summary, self.jobs.finished()))
        return f"<wscn:GetJobHistoryResponse><wscn:JobHistory>{listed}</wscn:JobHistory></wscn:GetJobHistoryResponse>"

    _operations: ClassVar[dict[str, Callable[["VirtualDevice", etree._Element], str | Page]]] = {
        "GetScannerElements": _get_scanner_elements,
        "ValidateScanTicket": _validate_scan_ticket,
        "CreateScanJob": _create_scan_job,
        "RetrieveImage": _retrieve_image,
        "CancelJob": _cancel_job,
        "GetJobElements": _get_job_elements,
        "GetActiveJobs": _get_active_jobs,
        "GetJobHistory": _get_job_history,
    }

    def _job(self, body: etree._Element) -> VirtualJob:
        job = self.jobs.get(text(body, "JobId"))
        if job is None:
            raise Refused(UNKNOWN_JOB)
        return job

    # Timers and events.

    def _watch(self, job: VirtualJob) -> None:
        """Start the timer that aborts the job if its next page is not fetched in time."""
        self._forget_timer(job.job_id)
        self._timers[job.job_id] = self._later(self.settings.job_timeout, self._timed_out, job, job.step)

    def _timed_out(self, job: VirtualJob, step: int) -> None:
        self._timers.pop(job.job_id, None)
        if not job.final and job.step == step:
            self._publish(self.jobs.abort(job, "JobTimedOut", self._wall()))

    def _forget_timer(self, job_id: str) -> None:
        timer = self._timers.pop(job_id, None)
        if timer is not None and timer.active():
            timer.cancel()

    def _publish(self, events: list[JobEvent]) -> None:
        for event in events:
            if event.end:
                self._forget_timer(event.status.job_id)
                self.subscribers.publish(JOB_END_STATE, job_end_state(event))
            else:
                self.subscribers.publish(
                    JOB_STATUS, f"<wscn:JobStatusEvent>{write_job_status(event.status)}</wscn:JobStatusEvent>")

    # The panel.

    def press(self, context: str | None = None) -> int:
        """Press the scan button, for that ClientContext or for every one.

        Returns the number of notified destinations.
        """
        told = 0
        for subscription in list(self.subscribers.held.values()):
            for known in subscription.destinations:
                if SCAN_AVAILABLE in subscription.events and context in (None, known):
                    identifier = f"scan-{len(self._pressed) + 1}-{int(self._wall() * 1000)}"
                    self._pressed.add(identifier)
                    self.subscribers.notify(subscription, SCAN_AVAILABLE, (
                        f"<wscn:ScanAvailableEvent><wscn:ClientContext>{escape(known)}</wscn:ClientContext>"
                        f"<wscn:ScanIdentifier>{identifier}</wscn:ScanIdentifier>"
                        "<wscn:InputSource>Platen</wscn:InputSource></wscn:ScanAvailableEvent>"))
                    told += 1
        return told

    def jam(self) -> None:
        """Jam the paper: running jobs are aborted, new ones refused."""
        self._stop_scanning(MEDIA_JAM)

    def open_cover(self) -> None:
        """Open the feeder's cover: running jobs are aborted, new ones refused."""
        self._stop_scanning(COVER_OPEN)

    def clear(self) -> None:
        """Remove the jam, and close the cover."""
        self.conditions.set(MEDIA_JAM, False)
        self.conditions.set(COVER_OPEN, False)

    def _stop_scanning(self, condition: str) -> None:
        self.conditions.set(condition, True)
        for job in self.jobs.active():
            self._publish(self.jobs.abort(job, "ScannerStopped", self._wall()))

    def forget(self) -> None:
        """Forget all jobs and subscriptions, as a reboot does. JobIds start from 1 again."""
        for job_id in list(self._timers):
            self._forget_timer(job_id)
        self.subscribers.forget()
        self.jobs = Jobs()
        self.clear()
        self._pressed.clear()

    def stop(self) -> None:
        """Switch the scanner off."""
        self.forget()
        self.subscribers.stop()
