"""The commands that read and write the data of one scanner in Redis.

`storage.redis.keys` describes the keys, `storage.redis.values` the values.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.frontends.escl.keptoffer import KeptOffer
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.storage.redis import keys, values
from wsdgateway.storage.redis.fencing import Command
from wsdgateway.storage.store import Content, FinishedJob, Unreadable

VERSION = "1.0"  # of the format; a program reads every version with the same number before the dot
PUSHED = 1000  # jobs in one RPUSH, because a script cannot pass on any number of arguments


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
    """Returns the content of the replies to `reading`; an error among them counts as a damaged value.

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


def saving(one: Subscription, number: int, offset: float) -> Command:
    return "HSET", keys.subscriptions(one.scanner), one.identifier, values.write_subscription(one, number, offset)


def forgetting(scanner: str, identifier: str) -> Command:
    return "HDEL", keys.subscriptions(scanner), identifier


def holding(held: Held, offset: float) -> Command:
    return "HSET", keys.held(held.scanner), held.identifier, values.write_held(held, offset)


def releasing(scanner: str, identifier: str) -> Command:
    return "HDEL", keys.held(scanner), identifier


def beginning(job: OwnJob) -> Command:
    return "HSET", keys.own_jobs(job.scanner), job.id, values.write_own_job(job)


def ending(scanner: str, own_id: str) -> Command:
    return "HDEL", keys.own_jobs(scanner), own_id


def offering(offer: KeptOffer, number: int) -> Command:
    return "SET", keys.offer(offer.scanner), values.write_offer(offer, number)


def withdrawing(scanner: str) -> Command:
    return "DEL", keys.offer(scanner)


def rewriting(scanner: str, content: Content, numbers: Mapping[str, int], offer_number: int,
              offset: float) -> list[Command]:
    """Returns the commands that replace the data of a scanner, except for its finished jobs."""
    return [
        ("DEL", *_kept(scanner)),
        *(saving(one, numbers[one.identifier], offset) for one in content.subscriptions),
        *(holding(one, offset) for one in content.held), *(beginning(job) for job in content.own_jobs),
        *(offering(offer, offer_number) for offer in content.escl_offers)]


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
    pushing: list[Command] = [("RPUSH", keys.done(scanner), *written[start:start + PUSHED])
                              for start in range(0, len(written), PUSHED)]
    return [*pushing, limiting(scanner, history)]


def limiting(scanner: str, history: int) -> Command:
    return "LTRIM", keys.done(scanner), -history, -1


def reading_finished(scanner: str, most: int | None) -> Command:
    """Returns the command that reads the finished jobs, or the latest ones, at most `most`, which is larger than 0."""
    return "LRANGE", keys.done(scanner), 0 if most is None else -most, -1


def marking(scanner: str, place: int, job: FinishedJob) -> Command:
    """Returns the command that replaces a finished job at its place in the list."""
    return "LSET", keys.done(scanner), place, values.write_finished(job)
