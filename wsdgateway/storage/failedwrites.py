"""Logs writes to the store that have failed."""

from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.storage.coordination import Fenced
from wsdgateway.storage.store import StoreError


def log_failed_write(log: Logger, failure: Failure, what: str, **fields: Any) -> None:
    """Logs that a write has failed; `what`, in the format of the logger, says which.

    A gateway that no longer owns a scanner writes nothing about it; that is no error, and its owner knows better.
    """
    if failure.check(Fenced):
        log.debug(f"{what}: {{problem}}", problem=str(failure.value), **fields)
    elif failure.check(StoreError):
        log.error(f"{what}: {{problem}}", problem=str(failure.value), **fields)
    else:
        log.failure(what, failure, **fields)
