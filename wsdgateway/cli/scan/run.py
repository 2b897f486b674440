"""Runs `wsdgateway scan`: scans into files, through the gateway or directly from a scanner.

It connects the parts: `cli.scan.conversation` speaks WS-Scan, `cli.scan.pages` writes the files.
"""

import time
from collections.abc import Callable

import attrs

from wsdgateway.cli.scan.choosing import Wishes, choose
from wsdgateway.cli.scan.client import ScanService
from wsdgateway.cli.scan.conversation import Conversation
from wsdgateway.cli.scan.outcomes import FAILED, ScanError
from wsdgateway.cli.scan.pages import Pages
from wsdgateway.cli.scan.progress import Progress
from wsdgateway.cli.scan.securing import BY_THE_SYSTEM, Judgement
from wsdgateway.cli.scan.targets import read_target


@attrs.frozen
class Order:
    """The options of a scan. `wait` is the time in seconds for which a busy scanner is asked again."""

    url: str
    output: str | None = None
    source: str = "platen"
    resolution: int | None = None
    color: str | None = None
    format: str | None = None
    wait: float = 30.0
    judgement: Judgement = BY_THE_SYSTEM


def scan(order: Order, progress: Progress, *, clock: Callable[[], float] = time.monotonic,
         sleep: Callable[[float], None] = time.sleep) -> None:
    """Scan into files, and report their names to `progress`. Raises `ScanError`.

    If any exception ends it early, complete pages are kept, the job is cancelled, and the exception is raised again.
    """
    service, target = ScanService(order.url, order.judgement), read_target(order.output, order.format)
    with progress:
        talk = Conversation(service, progress, feeder=order.source != "platen", wait=order.wait, clock=clock,
                            sleep=sleep)
        tickets = choose(Wishes(target.image, order.source, order.resolution, order.color, target.format),
                         *talk.offered())
        with Pages(target, written=progress.appeared, say=progress.say) as pages:
            try:
                with talk.job(tickets) as (job, final):
                    pages.dots = final.resolution
                    talk.fetch(job, pages)
            except BaseException as error:
                interrupted = isinstance(error, KeyboardInterrupt)
                if interrupted or pages.count:
                    progress.say(f"{'Interrupted' if interrupted else 'Ended early'}: {_counted(pages.count)}")
                pages.finish(whole=False)
                raise
            pages.finish(whole=True)
            if pages.surprises:
                raise ScanError(f"The scanner sent {', '.join(sorted(pages.surprises))} instead of {target.kind}; "
                                "the pages are kept under names with the right suffix", FAILED)


def _counted(pages: int) -> str:
    if not pages:
        return "no complete page"
    return "one complete page kept" if pages == 1 else f"{pages} complete pages kept"
