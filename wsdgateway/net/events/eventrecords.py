"""The records of events of the scanners that this gateway owns."""

from collections.abc import Callable
from functools import partial
from typing import Any

from wsdgateway.net.events.eventrecord import EventRecord
from wsdgateway.storage.sharedevents import ISharedEvents


class EventRecords:
    """The records by scanner. `token` returns the token of its present ownership.

    `is_alone` tells whether this gateway goes on alone with it. `on_fenced` is called when the server refuses a write
    because it does not know the ownership any more.
    """

    def __init__(self, reactor: Any, shared: ISharedEvents, *, token: Callable[[str], int],
                 is_alone: Callable[[str], bool], on_fenced: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._shared = shared
        self._token = token
        self._is_alone = is_alone
        self._on_fenced = on_fenced
        self._records: dict[str, EventRecord] = {}

    async def begin(self, scanner: str) -> None:
        """Reads what former owners have left of a scanner, and begins the record. Raises `NotNow`."""
        past = await self._shared.past(scanner)
        self._records[scanner] = EventRecord(
            self._reactor, scanner=scanner, token=self._token(scanner), past=past, shared=self._shared,
            on_fenced=self._on_fenced, is_alone=partial(self._is_alone, scanner))

    def of(self, scanner: str) -> EventRecord | None:
        """Returns the record of a scanner that is owned."""
        return self._records.get(scanner)

    def regained(self, scanner: str) -> None:
        """Goes on with the new token of a scanner."""
        record = self._records.get(scanner)
        if record is not None:
            record.regained(self._token(scanner))

    def drop(self, scanner: str) -> None:
        """Ends the record of a scanner that another gateway owns, without writing anything."""
        record = self._records.pop(scanner, None)
        if record is not None:
            record.abandon()

    async def end(self, scanner: str) -> None:
        """Ends the record of a scanner, after what waits has been written."""
        record = self._records.pop(scanner, None)
        if record is not None:
            await record.close()
