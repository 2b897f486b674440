"""The behaviour of the virtual scanner: the operations of WS-Scan, and what trouble does to jobs.

WS-Scan, "WSD Scan Service Operation Elements", with the faults of each operation.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from lxml import etree

from wsdgateway.scan.jobelements import write_response
from wsdgateway.scan.jobstatus import write_job_status
from wsdgateway.scan.operations import JOB_END_STATE, JOB_STATUS
from wsdgateway.scan.reading import text
from wsdgateway.simulator.conditions import INPUT_TRAY_EMPTY, LAMP_WARMING, MEDIA_JAM, NONE, STOPPED, Kind
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
from wsdgateway.simulator.faults import (
    BAD_TOKEN,
    NO_IMAGES,
    NOT_ACCEPTING,
    TEMPORARY,
    UNKNOWN_JOB,
    after_end,
    refusal,
)
from wsdgateway.simulator.jobs import JobEvent, Jobs, Page, VirtualJob
from wsdgateway.simulator.jobtimers import JobTimers
from wsdgateway.simulator.panel import Panel
from wsdgateway.simulator.scannerstatus import Status
from wsdgateway.simulator.settings import WAIT, Settings
from wsdgateway.simulator.ticket import Ticket, read_ticket
from wsdgateway.soap.faults import Fault, Refused, action_not_supported, invalid_args


class VirtualDevice:
    """The scanner without its network interface.

    `jam_after` is the number of pages after which the feeder jams once; 0: it does not. `on_job_end` is called with the
    JobId of each job that ends. `later` is `reactor.callLater`; `wall` gives the seconds since 1970.
    """

    def __init__(self, settings: Settings, subscribers: Subscribers, *, later: Callable[..., Any],
                 wall: Callable[[], float]) -> None:
        self.settings = settings
        self.subscribers = subscribers
        self.panel = Panel(subscribers, wall=wall)
        self.jobs = Jobs()
        self.jam_after = settings.jam_after
        self.on_job_end: Callable[[str], object] = lambda job_id: None
        self.status = Status(
            later=later, wall=wall, publish=subscribers.publish,
            scanning=lambda: any(job.scanning for job in self.jobs.active()), on_end=self._resume_jobs)
        self.feeder = settings.feeder_pages
        self._wall = wall
        self._timers = JobTimers(later, settings.job_timeout, lambda job: self._publish(
            self.jobs.abort(job, "JobTimedOut", self._wall())))

    @property
    def feeder(self) -> int:
        """The number of sheets in the feeder."""
        return self._feeder

    @feeder.setter
    def feeder(self, sheets: int) -> None:
        self._feeder = sheets
        if sheets:
            self.status.end(INPUT_TRAY_EMPTY)
        else:
            self.status.begin(INPUT_TRAY_EMPTY)

    @property
    def jammed(self) -> bool:
        """True if paper is jammed."""
        return self.status.has(MEDIA_JAM)

    @jammed.setter
    def jammed(self, stuck: bool) -> None:
        if stuck:
            self.begin(MEDIA_JAM)
        else:
            self.status.end(MEDIA_JAM)

    def operate(self, name: str, body: etree._Element | None) -> str | Page:
        """The content of the answer's Body, or the page to send. Raises `Refused`."""
        perform = self._operations.get(name)
        if perform is None:
            raise Refused(action_not_supported(name))
        if body is None:
            raise Refused(invalid_args("The Body is empty."))
        return perform(self, body)

    def _get_scanner_elements(self, body: etree._Element) -> str:
        known = scanner_elements(self.settings, status=self.status.element())
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
        self.panel.check(body)
        if any(kind.refuses_jobs for kind in self.status.conditions.kinds()) or self.jobs.active():
            raise Refused(refusal(self.settings.busy_fault, self._reason))
        if ticket.source != "Platen" and self.feeder == 0:
            raise Refused(NO_IMAGES)
        self.panel.use_up(body)
        job, events = self._create(ticket)
        self._publish(events)
        self._timers.start(job)
        return (f"<wscn:CreateScanJobResponse><wscn:JobId>{job.job_id}</wscn:JobId>"
                f"<wscn:JobToken>{job.token}</wscn:JobToken>{image_information(job.source, job.page)}"
                f"{parameters(job.source, job.page, job.wanted, 'DocumentFinalParameters')}"
                "</wscn:CreateScanJobResponse>")

    def _create(self, ticket: Ticket) -> tuple[VirtualJob, list[JobEvent]]:
        return self.jobs.create(source=ticket.source, page=ticket.page, name=ticket.name, user=ticket.user,
                                ticket=ticket.written("ScanTicket"), wanted=ticket.images, wall=self._wall())

    def _retrieve_image(self, body: etree._Element) -> Page:
        job = self._job(body)
        if text(body, "JobToken") != job.token:
            raise Refused(BAD_TOKEN)
        if job.final:
            raise Refused(self._after_end(job))
        if job.busy:
            raise Refused(NOT_ACCEPTING)
        if any(kind.refuses_pages for kind in self.status.conditions.kinds()):
            self._timers.start(job)
            raise Refused(TEMPORARY)
        self._publish(self.jobs.begin_page(job))
        return Page(job, job.scanned + 1)

    @property
    def _reason(self) -> str | None:
        """The first reason of the scanner's state; None if it has none."""
        reason = self.status.current[1][0]
        return None if reason == NONE else reason

    def _after_end(self, job: VirtualJob) -> Fault:
        return after_end(job.status.state, self.settings.aborted_fault, self._reason)

    def scan_page(self, page: Page) -> Fault | None:
        """Scan a page. Returns the fault to answer with if that fails."""
        job = page.job
        if self.jam_after and job.source != "Platen" and page.number > self.jam_after and not job.final:
            self.jam_after = 0
            self.jam()
        if job.final:
            return self._after_end(job)
        if self.status.current[0] == STOPPED:
            self._publish(self.jobs.leave_page(job))
            self._timers.start(job)
            return TEMPORARY
        return None

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
            if self.status.current[0] == STOPPED:
                self._publish(self.jobs.hold(job))
            self._timers.start(job)
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

    def _publish(self, events: list[JobEvent]) -> None:
        for event in events:
            if event.end:
                self._timers.stop(event.status.job_id)
                self.on_job_end(event.status.job_id)
                self.subscribers.publish(JOB_END_STATE, job_end_state(event))
            else:
                self.subscribers.publish(
                    JOB_STATUS, f"<wscn:JobStatusEvent>{write_job_status(event.status)}</wscn:JobStatusEvent>")
        self.status.tell()

    # Trouble.

    def switched_on(self) -> None:
        """Warm the lamp up, if the settings say so."""
        if self.settings.warm_up_seconds:
            self.begin(LAMP_WARMING, self.settings.warm_up_seconds)

    def begin(self, kind: Kind, seconds: float = 0.0) -> None:
        """Begin a kind of trouble, which ends after so many seconds; 0: it lasts until it is cleared.

        If it stops the scanner, running jobs are aborted, or wait, as the settings say.
        """
        self.status.begin(kind, seconds)
        if kind.state != STOPPED:
            return
        for job in self.jobs.active():
            self._publish(self.jobs.hold(job) if self.settings.stopped_jobs == WAIT
                          else self.jobs.abort(job, "ScannerStopped", self._wall()))

    def press(self, context: str | None = None, source: str = "Platen") -> int:
        """Press the scan button; see `Panel.press`."""
        return self.panel.press(context, source)

    def cancel_jobs(self) -> None:
        """Cancel the running jobs at the panel."""
        for job in self.jobs.active():
            self._publish(self.jobs.cancel(job, self._wall()))

    def jam(self) -> None:
        """Jam the paper."""
        self.begin(MEDIA_JAM)

    def clear(self, kind: Kind | None = None) -> None:
        """End a kind of trouble, or every one except the empty feeder."""
        for active in self.status.conditions.kinds():
            if active == kind or (kind is None and active != INPUT_TRAY_EMPTY):
                self.status.end(active)

    def _resume_jobs(self) -> None:
        """Continue the jobs that waited, if nothing stops the scanner any more."""
        if self.status.current[0] != STOPPED:
            for job in self.jobs.active():
                self._publish(self.jobs.resume(job))

    def forget(self) -> None:
        """Forget all jobs and subscriptions, as a reboot does. JobIds start from 1 again."""
        self._timers.stop_all()
        self.subscribers.forget()
        self.jobs = Jobs()
        self.status.forget()
        self.feeder = self.feeder  # an empty feeder is a condition again
        self.panel.forget()

    def stop(self) -> None:
        """Switch the scanner off."""
        self.forget()
        self.subscribers.stop()
