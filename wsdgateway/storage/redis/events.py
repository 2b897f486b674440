"""The last events of scanners, cursors, intents of CreateScanJob, and counted jobs on a Redis server.

That is what `storage.sharedevents` describes.

A damaged event or cursor counts as none, with a warning; a damaged record of a CreateScanJob as an intent of an earlier
owner.
"""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from wsdgateway.bridge.cluster.intents import KEPT_SECONDS, Record, read_record, write_record
from wsdgateway.bridge.cluster.values import NO_TOKEN
from wsdgateway.bridge.events.eventlog import MAX_EVENTS, Cursor, EventID, LoggedEvent, Past, Write
from wsdgateway.storage.redis import keys
from wsdgateway.storage.redis.client import RedisClient
from wsdgateway.storage.redis.fencing import checked_outcome, run_fenced
from wsdgateway.storage.redis.luascript import LuaScript
from wsdgateway.storage.sharedevents import Claim, IIntents, IJobCounts, ISharedEvents, JobChange, TooManyJobs

_EVENTS, _INTEND, _COUNT, _JOBS = map(LuaScript, ("events", "intend", "count", "jobs"))
_KEPT = int(KEPT_SECONDS * 1000)


@implementer(ISharedEvents, IIntents, IJobCounts)
class RedisEvents:
    """The events, intents and counted jobs of the gateway that is registered as `identifier`.

    They have a connection of their own, so that an event does not wait for a write of the store.
    """

    log = Logger()

    def __init__(self, client: RedisClient, identifier: str) -> None:
        self._connection = client.connection("events")
        self._identifier = identifier

    def past(self, scanner: str) -> Deferred[Past]:
        def read(redis: Any) -> list[Any]:
            pipeline = redis.pipeline(transaction=True)
            pipeline.execute_command("XRANGE", keys.events(scanner), "-", "+")
            pipeline.hgetall(keys.cursor(scanner))
            pipeline.time()
            found: list[Any] = pipeline.execute(raise_on_error=False)
            for answer in found:
                if isinstance(answer, Exception) and "WRONGTYPE" not in str(answer):
                    raise answer
            return found

        return self._connection.run(read).addCallback(lambda found: self._past(scanner, *found))

    def _past(self, scanner: str, entries: Any, cursors: Any, time: tuple[int, int]) -> Past:
        events, read, damaged, owners = [], {}, 0, 0
        if isinstance(entries, Exception):  # a key of another type
            entries, damaged = (), damaged + 1
        if isinstance(cursors, Exception):
            cursors, damaged = {}, damaged + 1
        for identifier, fields in entries:
            if b"data" not in fields:
                owners += 1  # the mark of a new owner, the last one of this gateway
                continue
            try:
                events.append(_event(identifier, fields))
            except (KeyError, ValueError):
                damaged += 1
        for subscription, value in cursors.items():
            try:
                read[subscription.decode()] = _cursor(value)
            except ValueError:
                damaged += 1
        if damaged:
            self.log.warn("{scanner}: {count} entries of {events} and {cursor} in Redis cannot be read; left out",
                          scanner=scanner, count=damaged, events=keys.events(scanner), cursor=keys.cursor(scanner))
        return Past(tuple(events), read, time[0] + time[1] / 1e6, is_first=not events and owners <= 1)

    def write(self, scanner: str, token: int, write: Write) -> Deferred[None]:
        arguments: list[Any] = [token, self._identifier, MAX_EVENTS, len(write.events)]
        for event in write.events:
            arguments += (str(event.identifier), event.data, event.content_type, event.receiver, int(event.made))
        for subscription, cursor in write.cursors.items():
            arguments += (subscription, "" if cursor is None else f"{cursor.given} {cursor.panel} {cursor.opened}")
        names = [keys.ERA, keys.owner(scanner), keys.events(scanner), keys.cursor(scanner)]
        return self._connection.run(
            lambda redis: checked_outcome(scanner, token, _EVENTS.run(redis, names, arguments)))

    def intend(self, scanner: str, token: int, key: str, claim: Claim | None = None) -> Deferred[Record | None]:
        names = [keys.ERA, keys.owner(scanner), keys.create(scanner, key)]
        arguments = [token, self._identifier, write_record(Record(token)), _KEPT]
        if claim is not None:
            names.append(keys.jobs(claim.client))
            arguments += self._counting(claim)

        def ask(redis: Any) -> Any:
            outcome, *known = _INTEND.run(redis, names, arguments)
            if known:
                return known[0]
            _check_count(scanner, token, outcome)
            return None

        return self._connection.run(ask).addCallback(lambda known: self._record(scanner, known))

    def _record(self, scanner: str, known: bytes | None) -> Record | None:
        try:
            return None if known is None else read_record(known)
        except ValueError:
            self.log.warn("{scanner}: what is known in Redis of a CreateScanJob cannot be read, so it is refused for "
                          "{seconds:g} s", scanner=scanner, seconds=KEPT_SECONDS)
            return Record(NO_TOKEN)

    def conclude(self, scanner: str, token: int, key: str, record: Record | None) -> Deferred[None]:
        name = keys.create(scanner, key)
        command = ("DEL", name) if record is None else ("SET", name, write_record(record), "PX", _KEPT)
        return run_fenced(self._connection, scanner, token, self._identifier, [command]).addCallback(lambda _: None)

    def count(self, scanner: str, token: int, claim: Claim) -> Deferred[None]:
        names = [keys.ERA, keys.owner(scanner), keys.jobs(claim.client)]
        arguments = [token, self._identifier, *self._counting(claim)]
        return self._connection.run(
            lambda redis: _check_count(scanner, token, _COUNT.run(redis, names, arguments)))

    def change(self, changes: Sequence[JobChange]) -> Deferred[None]:
        names = [keys.jobs(one.client) for one in changes]
        arguments = [part for one in changes for part in (self._job(one.name), round(one.seconds * 1000))]
        return self._connection.run(lambda redis: _JOBS.run(redis, names, arguments)).addCallback(lambda _: None)

    def _counting(self, claim: Claim) -> list[Any]:
        return [self._job(claim.name), round(claim.seconds * 1000), claim.most]

    def _job(self, name: str) -> str:
        """The name of a job among those of all gateways."""
        return f"{name} {self._identifier}"


def _check_count(scanner: str, token: int, outcome: bytes) -> None:
    checked_outcome(scanner, token, outcome)
    if outcome == b"many":
        raise TooManyJobs


def _event(identifier: bytes, fields: dict[bytes, bytes]) -> LoggedEvent:
    return LoggedEvent(EventID.parse(identifier.decode()), fields[b"data"], fields[b"type"], fields[b"to"].decode(),
                       fields[b"made"] == b"1", int(fields[b"at"]) / 1000)


def _cursor(value: bytes) -> Cursor:
    given, panel, *opened = value.decode().split(" ")
    return Cursor(EventID.parse(given), EventID.parse(panel), *map(EventID.parse, opened[:1]))
