"""A store on a Redis server that `wsdgateway store copy` reads or writes as a whole. Blocks; see `storage.copying`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import attrs
import redis

from wsdgateway.storage.copying import Everything, not_empty
from wsdgateway.storage.redis import contents, keys, shareddata, values
from wsdgateway.storage.redis.address import ServerAddress
from wsdgateway.storage.redis.checks import supported
from wsdgateway.storage.redis.connecting import Server, not_now
from wsdgateway.storage.redis.fencing import Command
from wsdgateway.storage.store import Content, FinishedJob, NotOurs

DEADLINE = 60.0  # seconds without an answer; nobody waits for the server meanwhile, and a store may be large


@attrs.frozen
class RedisPlace:
    """A store on a server. `wall` returns seconds since 1970."""

    address: ServerAddress
    wall: Callable[[], float]

    @property
    def name(self) -> str:
        return self.address.text

    def read(self) -> Everything:
        with self._connected() as server:
            everything = self._read(server)
        if everything == Everything():
            raise NotOurs(f"{self.name}: there is no store; give the server and database of a gateway")
        return everything

    def write(self, everything: Everything) -> None:
        with self._connected() as server:
            present = self._read(server)
            if present != Everything():
                raise not_empty(self.name, present)
            pipeline = server.pipeline(transaction=True)
            for command in _writing(everything, self._offset(server)):
                pipeline.execute_command(*command)
            pipeline.execute()

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """Connects; errors of redis-py become `NotNow`. Raises `StoreError` if the server must not be used."""
        server = Server(self.address, DEADLINE)
        try:
            connected = server.redis()
            supported(connected, self.address)
            running = _running(connected)
            if running:
                raise NotOurs(f"{self.name}: a gateway is using the store: {', '.join(running)}; stop it, or give "
                              "another database")
            yield connected
        except (redis.RedisError, OSError) as error:
            raise not_now(self.address, error, DEADLINE) from None
        finally:
            server.disconnect()

    def _offset(self, server: Any) -> int:
        """The server's time minus that of this host. Whole seconds, so that times of a second copy are the same."""
        seconds, microseconds = server.time()
        return round(seconds + microseconds / 1e6 - self.wall())

    def _read(self, server: Any) -> Everything:
        offset = self._offset(server)
        shared = shareddata.read(server, self.name)
        found, finished = [], []
        for scanner in sorted(name.decode() for name in server.smembers(keys.SCANNERS)):
            pipeline = server.pipeline(transaction=True)
            for command in (*contents.reading(scanner), contents.reading_finished(scanner, None)):
                pipeline.execute_command(*command)
            *replies, jobs = pipeline.execute(raise_on_error=False)
            found.append(contents.read(self.name, scanner, replies, offset))
            finished += self._jobs(scanner, jobs)
        numbers = {identifier: number for read in found for identifier, number in read.numbers.items()}
        return Everything(attrs.evolve(
            shared,
            subscriptions=tuple(sorted((one for read in found for one in read.content.subscriptions),
                                       key=lambda one: numbers[one.identifier])),
            held=tuple(one for read in found for one in read.content.held),
            own_jobs=tuple(one for read in found for one in read.content.own_jobs),
            escl_offers=tuple(offer for _, offer in sorted(
                ((read.offer_number, offer) for read in found for offer in read.content.escl_offers),
                key=itemgetter(0)))), tuple(finished))

    def _jobs(self, scanner: str, listed: Any) -> list[FinishedJob]:
        with contents.explained(self.name, keys.done(scanner)):
            return [values.read_finished(scanner, value)
                    for value in contents.checked(self.name, keys.done(scanner), listed)]


def _running(server: Any) -> list[str]:
    """The names of the gateways that are registered at the moment."""
    identifiers = sorted(name.decode() for name in server.smembers(keys.GATEWAYS))
    registered = server.mget([keys.gateway(one) for one in identifiers]) if identifiers else []
    return [_name(value) for value in registered if value is not None]


def _name(registration: bytes) -> str:
    try:
        return str(json.loads(registration)["name"])
    except values.BAD:
        return "one of another version"


def _writing(everything: Everything, offset: float) -> Iterator[Command]:
    """The commands that write everything to a server without data."""
    content = everything.content
    places = {one.scanner: place for place, one in enumerate(content.escl_offers, 1)}
    numbers = {one.identifier: number for number, one in enumerate(content.subscriptions, 1)}
    yield "DEL", keys.SCHEMA  # otherwise `restoring` would take the rest for that of another gateway
    for scanner in sorted(_scanners(everything)):
        own = Content(tuple(one for one in content.subscriptions if one.scanner == scanner),
                      tuple(one for one in content.held if one.scanner == scanner),
                      own_jobs=tuple(one for one in content.own_jobs if one.scanner == scanner),
                      escl_offers=tuple(one for one in content.escl_offers if one.scanner == scanner))
        jobs = [job for job in everything.finished if job.scanner == scanner]
        yield contents.registering(scanner)
        yield from contents.rewriting(scanner, own, numbers, places.get(scanner, 0), offset)
        if jobs:
            yield from contents.adding(scanner, jobs, len(jobs))
    yield shareddata.restoring(content)


def _scanners(everything: Everything) -> set[str]:
    """The names of all scanners with data of their own."""
    content = everything.content
    return ({one.scanner for one in content.subscriptions} | {one.scanner for one in content.held}
            | {one.scanner for one in content.own_jobs} | {one.scanner for one in content.escl_offers}
            | {one.scanner for one in everything.finished})
