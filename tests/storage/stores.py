"""The stores for the tests of the contract, and values to store."""

import sqlite3
from contextlib import closing

from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscriptions import Subscription, Token
from wsdgateway.bridge.events.upstreamcommands import Held, Shown
from wsdgateway.bridge.frontends.escl.keptoffer import KeptOffer
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.metadata.messages import Labels
from wsdgateway.scan.destinations import Destinations
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.storage import schema
from wsdgateway.storage.fallback import FallbackStore
from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.sqlite import SqliteStore
from wsdgateway.storage.store import FinishedJob


def job(number, scanner="front-desk"):
    return FinishedJob(scanner, str(number), "Completed", ("None", "x"), number, None, "2026-11-22T10:00:00Z", 1.5)


def own_job(own_id, **more):
    return OwnJob(**{"scanner": "front-desk", "id": own_id, "job_id": f"7{own_id}",
                     "created": "2026-11-22T10:00:00Z", **more})


def kept_offer(scanner, **more):
    return KeptOffer(**{"scanner": scanner, "place": "http://d/scan", "endpoint": "urn:uuid:1",
                        "labels": Labels("Näme", "Maker", "1000", "1.2"), "elements": "<a>ü</a>", **more})


def without_file(reactor, file):
    file.write_bytes(b"nonsense" * 100)
    return FallbackStore(reactor, file, 3, lambda: 0.0)


# The stores for test_store.py beside that on Redis: name, and a function for one that keeps three finished jobs.
STORES = {
    "memory": lambda reactor, file: MemoryStore(3),
    "sqlite": lambda reactor, file: SqliteStore(reactor, file, 3),
    "fallback": lambda reactor, file: FallbackStore(reactor, file, 3, lambda: 0.0),
    "without-file": without_file,
}


def subscription(identifier, **more):
    return Subscription(**{
        "identifier": identifier, "scanner": "front-desk", "client": "192.0.2.7", "manager": f"http://gw/{identifier}",
        "notify_to": Sink(EndpointReference("http://192.0.2.7/e", ("<a/>", "<b>ü</b>")), "192.0.2.7"),
        "end_to": Sink(EndpointReference("http://192.0.2.7/end"), "192.0.2.7"),
        "filter": ActionFilter(("urn:a", "urn:b")), "expires_at": 1800000000.25, "panel": True,
        "destinations": Destinations("<d>x</d>", (("ctx", "Näme"), ("", ""))),
        "tokens": (Token("ctx", "t1", "t9"), Token("", "t2", "t2")), **more})


PLAIN = {"end_to": None, "filter": ActionFilter(), "panel": False, "destinations": None, "tokens": ()}


def held(identifier, **more):
    return Held(**{"scanner": "front-desk", "identifier": identifier, "address": "http://d/scan",
                   "notify_to": "http://gw/front-desk/events/s",
                   "manager": EndpointReference("http://d/m", ("<i>7</i>",)), "expires_at": 1800000000.5,
                   "shown": (Shown("ctx", "Näme", "t1"), Shown("", "B", None)), **more})


def old_file(file):
    """Makes a store file with the first schema, which contains one job."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(schema.steps()[0] + "PRAGMA user_version = 1;")
        connection.execute("INSERT INTO finished_job VALUES (1, 'front-desk', '1', 'Completed', 'None x', 1, NULL, "
                           "'2026-11-22T10:00:00Z', 1.5)")
        connection.commit()


def limit_pages(store, more):
    """Lets the file of a SqliteStore grow by at most `more` pages, to simulate a full disk."""
    def run(transaction):
        used = transaction.execute("PRAGMA page_count").fetchone()[0]
        transaction.execute(f"PRAGMA max_page_count = {used + more}")

    # The limit holds only for one connection of SQLite, which is the store's own.
    return store._pool.runInteraction(run)
