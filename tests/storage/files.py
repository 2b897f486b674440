"""Store files of an earlier start, and ways to damage them."""

import sqlite3
from contextlib import closing

from tests.storage.stores import PLAIN, held, job, subscription
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.storage.fallback import FallbackStore
from wsdgateway.storage.sqlite import SqliteStore

FRESH = {"expires_at": 4e9}


def damage(file):
    file.write_bytes(b"this is not a database, it is something of value" * 100)


def make_newer(file):
    """Marks the file as one of a later version of the gateway."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")


def start(file, history=3):
    from twisted.internet import reactor

    return FallbackStore(reactor, file, history, lambda: 1.8e9)


async def filled(file):
    """Makes a store of an earlier start, with contents of every kind."""
    from twisted.internet import reactor

    store = SqliteStore(reactor, file, 3)
    await store.next_instance(100)
    await store.save(subscription("a", **FRESH), held("a", notify_to="http://gw/front-desk/events/a"))
    await store.save(subscription("b", client="192.0.2.9", **PLAIN, **FRESH))
    await store.hold(held("", notify_to="http://gw/front-desk/events/own"))
    await store.adopt(Adopted("urn:uuid:1", "one"))
    await store.metadata_version("front-desk", "a")
    await store.add(job(1))
    await store.close()


async def listed(file):
    """Returns the contents of a file."""
    from twisted.internet import reactor

    store = SqliteStore(reactor, file, 3)
    found = (await store.subscriptions(), await store.held(), await store.adopted(),
             [one.job_id for one in await store.finished("front-desk")])
    await store.close()
    return found


class Restoring:
    """Records the contents to be restored; `listed` holds the notify_to addresses in the file at that time."""

    def __init__(self, file):
        self.file = file
        self.found = []
        self.wait = None

    async def __call__(self, content):
        with closing(sqlite3.connect(self.file)) as connection:
            self.listed = [row[0] for row in connection.execute("SELECT notify_to FROM device_subscription")]
        self.found.append(content)
        if self.wait is not None:
            await self.wait


LARGE = {"client": "x" * 10000}
