"""The commands of the engine for scan jobs; `net.scanjobs` carries them out and reports each outcome."""

import attrs

from wsdgateway.bridge.scanjobs.scanjob import Page, ScanJob


@attrs.frozen(eq=False)
class Create:
    """Send CreateScanJob with the job's ticket, and report `created` or `not_created`."""

    job: ScanJob


@attrs.frozen(eq=False)
class Record:
    """Store the scanner's JobId with JobCreatedTime, and report `recorded`, also if that failed."""

    job: ScanJob


@attrs.frozen(eq=False)
class Retrieve:
    """Send RetrieveImage for this page.

    Report `received` for its bytes, and `page_ended`, `page_refused` or `page_broken`.
    """

    job: ScanJob
    page: Page


@attrs.frozen(eq=False)
class Hold:
    """Stop reading the page that is arriving, and keep the bytes that were received last."""

    job: ScanJob


@attrs.frozen(eq=False)
class Resume:
    """Report the bytes that were kept again, and go on reading."""

    job: ScanJob


@attrs.frozen(eq=False)
class Judge:
    """Learn the job's status at the scanner after a refusal, and report `judged`.

    Where the scanner gives none, and the refusal `may_be_last`, learn the scanner's own status.
    """

    job: ScanJob


@attrs.frozen(eq=False)
class Cancel:
    """Send CancelJob, at once and on its own connection; then end an image that is arriving, and report `canceled`."""

    job: ScanJob


@attrs.frozen(eq=False)
class Withdraw:
    """Do not send the CancelJob, if it has not been sent yet: the job has finished."""

    job: ScanJob


@attrs.frozen(eq=False)
class Forget:
    """Count the job no longer, since it has ended at the scanner."""

    job: ScanJob


@attrs.frozen(eq=False)
class Discard:
    """Delete the file of a page. Its bytes count as free."""

    job: ScanJob
    page: Page


@attrs.frozen(eq=False)
class Changed:
    """Tell those who wait for the job that it has changed."""

    job: ScanJob


Command = Create | Record | Retrieve | Hold | Resume | Judge | Cancel | Withdraw | Forget | Discard | Changed
