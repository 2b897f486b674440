"""Sends a CreateScanJob that can be interrupted without leaving a job behind.

WS-Scan, CreateScanJobRequest: a job exists from the answer on, and times out after a minute at the earliest.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from wsdgateway.cli.scan.client import ScanService
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.jobs import CreatedJob

LAST_WORD = 5.0  # seconds that an interrupted scan waits for the id of the job to cancel

_Answer = tuple[CreatedJob, DocumentParameters] | BaseException


def created(service: ScanService, ticket: DocumentParameters,
            cancel: Callable[[CreatedJob], None]) -> tuple[CreatedJob, DocumentParameters]:
    """Create a job with `ScanService.create`. If it is interrupted, cancel the job that may have been created."""
    answers: SimpleQueue[_Answer] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(service.create(ticket))
        except BaseException as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True, name="create").start()
    try:
        answer = answers.get()
    except KeyboardInterrupt:
        with suppress(Empty):
            late = answers.get(timeout=LAST_WORD)
            if not isinstance(late, BaseException):
                cancel(late[0])
        raise
    if isinstance(answer, BaseException):
        raise answer
    return answer
