"""The commands that read and write the data of one scanner in Redis.

`storage.redis.keys` describes the keys, `storage.redis.values` the values.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from wsdgateway.bridge.frontends.escl.keptoffer import KeptOffer
from wsdgateway.storage.redis import keys, values
from wsdgateway.storage.redis.fencing import Command
from wsdgateway.storage.store import Content, FinishedJob, Unreadable

VERSION = "1.0"  # of the format; a program reads every version with the same number before the dot
FIELDS = 200  # in one HSET, because a script cannot pass on any number of arguments


@attrs.frozen
class Read:
    """The content of one scanner, and the numbers that give the order of its subscriptions and its offer."""

    content: Content
    numbers: dict[str, int]
    offer_number: int = 0


def reading(scanner: str) -> list[Command]:
    """Returns the commands that read the data of a scanner, except for its finished jobs."""
    return [("GET", keys.SCHEMA), ("HGETALL", keys.subscriptions(scanner)), ("HGETALL", keys.held(scanner)),
            ("HGETALL", keys.own_jobs(scanner)), ("GET", keys.offer(scanner))]


def read(where: str, scanner: str, replies: Sequence[Any], offset: float) -> Read:
    """Returns what the replies to `reading` contain; an error among them counts as a damaged value.

    Raises `Unreadable`.
    """
    subscriptions, held, own_jobs, offer = (
        checked(where, str(name), reply) for (_, name), reply in zip(reading(scanner)[1:], replies[1:], strict=True))
    check_schema(where, replies[0])
    with explained(where, keys.subscriptions(scanner)):
        numbered = sorted((values.read_subscription(scanner, name.decode(), value, offset)
                           for name, value in subscriptions.items()), key=lambda one: one[0])
    with explained(where, keys.held(scanner)):
        at_scanner = tuple(values.read_held(scanner, name.decode(), value, offset) for name, value in held.items())
    with explained(where, keys.own_jobs(scanner)):
        jobs = tuple(values.read_own_job(scanner, name.decode(), value) for name, value in own_jobs.items())
    with explained(where, keys.offer(scanner)):
        offers = [] if offer is None else [values.read_offer(scanner, offer)]
    return Read(
        Content(tuple(one for _, one in numbered), at_scanner, own_jobs=jobs,
                escl_offers=tuple(one for _, one in offers)),
        {one.identifier: number for number, one in numbered}, max((number for number, _ in offers), default=0))


@contextmanager
def explained(where: str, name: str) -> Iterator[None]:
    """Raises `Unreadable` for a damaged value of that key."""
    try:
        yield
    except values.BAD as error:
        what = f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise Unreadable(f"{where}: the value of {name} cannot be read: {what}; nothing was changed. Delete the key, "
                         "or restore a good copy") from None


def checked(where: str, name: str, reply: Any) -> Any:
    """Returns a reply. Raises `Unreadable` if it is an error, because the key has a value of another type."""
    with explained(where, name):
        if isinstance(reply, Exception):
            raise ValueError(str(reply))
    return reply


def check_schema(where: str, value: Any) -> None:
    """Raises `Unreadable` if the data was written by a version that this one cannot read, or by another program."""
    if value is None:
        return
    with explained(where, keys.SCHEMA):
        major = int(checked(where, keys.SCHEMA, value).decode().partition(".")[0])
    if major > int(VERSION.partition(".")[0]):
        raise Unreadable(f"{where}: the store was written by a newer version of wsdgateway (schema {value.decode()}, "
                         f"this version supports {VERSION}); use that version, or another database")


def registering(scanner: str) -> Command:
    """Returns the command that comes with each write, so that it also follows a loss of the server's data."""
    return "SADD", keys.SCANNERS, scanner


@attrs.frozen
class Numbering:
    """The numbers of a scanner's subscriptions and of its offer, and the offset of the server's time."""

    numbers: Mapping[str, int]
    offer_number: int
    offset: float


def differences(scanner: str, before: Content, after: Content, by: Numbering) -> list[Command]:
    """Returns the commands that turn one content of a scanner into another."""
    number, offset = by.numbers.__getitem__, by.offset
    return [
        *_changes(keys.subscriptions(scanner), {one.identifier: one for one in before.subscriptions},
                  {one.identifier: one for one in after.subscriptions},
                  lambda one: values.write_subscription(one, number(one.identifier), offset)),
        *_changes(keys.held(scanner), {one.identifier: one for one in before.held},
                  {one.identifier: one for one in after.held}, lambda one: values.write_held(one, offset)),
        *_changes(keys.own_jobs(scanner), {one.job_id: one for one in before.own_jobs},
                  {one.job_id: one for one in after.own_jobs}, values.write_own_job),
        *_offering(scanner, before.escl_offers, after.escl_offers, by.offer_number)]


def _changes(key: str, before: Mapping[str, Any], after: Mapping[str, Any],
             write: Callable[[Any], bytes]) -> Iterator[Command]:
    for gone in batched([field for field in before if field not in after]):
        yield "HDEL", key, *gone
    for fields in batched([field for field, one in after.items() if before.get(field) != one]):
        yield "HSET", key, *(part for field in fields for part in (field, write(after[field])))


def batched(fields: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Splits a sequence into parts of at most `FIELDS`."""
    return (fields[start:start + FIELDS] for start in range(0, len(fields), FIELDS))


def _offering(scanner: str, before: Sequence[KeptOffer], after: Sequence[KeptOffer], number: int) -> Iterator[Command]:
    if before and not after:
        yield "DEL", keys.offer(scanner)
    for offer in after:
        if not any(offer is one for one in before):  # an equal one that is kept again becomes the newest
            yield "SET", keys.offer(scanner), values.write_offer(offer, number)


def rewriting(scanner: str, content: Content, by: Numbering) -> list[Command]:
    """Returns the commands that replace the data of a scanner, except for its finished jobs."""
    return [("DEL", *_kept(scanner)),
            *differences(scanner, Content(), content, by)]


def _kept(scanner: str) -> tuple[str, ...]:
    return keys.subscriptions(scanner), keys.held(scanner), keys.own_jobs(scanner), keys.offer(scanner)


def removing(scanner: str) -> list[Command]:
    """Returns the commands that delete everything of a scanner."""
    events = keys.events(scanner), keys.cursor(scanner)
    return [("DEL", *_kept(scanner), keys.done(scanner), *events), ("SREM", keys.SCANNERS, scanner)]


# Finished jobs.

def adding(scanner: str, jobs: Iterable[FinishedJob], history: int) -> list[Command]:
    """Returns the commands that append finished jobs, and delete the oldest ones beyond the history."""
    written = [values.write_finished(job) for job in jobs]
    return [*(("RPUSH", keys.done(scanner), *some) for some in batched(written)), limiting(scanner, history)]


def limiting(scanner: str, history: int) -> Command:
    return "LTRIM", keys.done(scanner), -history, -1


def reading_finished(scanner: str, most: int | None) -> Command:
    """Returns the command that reads the finished jobs, or the latest ones, at most `most`, which is larger than 0."""
    return "LRANGE", keys.done(scanner), 0 if most is None else -most, -1


def marking(scanner: str, place: int, job: FinishedJob) -> Command:
    """Returns the command that replaces a finished job at its place in the list."""
    return "LSET", keys.done(scanner), place, values.write_finished(job)
