"""The statements and queries of the SQLite store, which convert values to rows and back."""

import json
from typing import Any

import attrs

from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscriptions import Subscription, Token
from wsdgateway.bridge.events.upstreamcommands import Held, Shown
from wsdgateway.bridge.frontends.escl.keptoffer import MAX_KEPT, KeptOffer
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.metadata.messages import Labels
from wsdgateway.scan.destinations import Destinations
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.storage.store import Content, FinishedJob

Statement = tuple[str, tuple[object, ...]]

SUBSCRIPTIONS = "SELECT * FROM client_subscription ORDER BY rowid"
HELD = "SELECT * FROM device_subscription"
ADOPTED = "SELECT uuid, name FROM adopted ORDER BY rowid"
ESCL_PORTS = "SELECT scanner, port FROM escl_port ORDER BY rowid"
ESCL_OFFERS = "SELECT scanner, place, endpoint, labels, elements FROM escl_offer ORDER BY rowid"
OWN_JOBS = "SELECT scanner, id, job_id, created, answered, client FROM own_job ORDER BY rowid"
ALL = -1  # as a limit in SQLite
FINISHED = ("SELECT scanner, job_id, state, reasons, scans_completed, created, completed, finished, superseded FROM "
             "(SELECT * FROM finished_job WHERE scanner = ? ORDER BY id DESC LIMIT ?) ORDER BY id")


def read_held(row: tuple[Any, ...]) -> Held:
    shown = tuple(Shown(*one) for one in json.loads(row[6]))
    return Held(row[0], row[1], row[2], row[3], _reference(row[4]), float(row[5]), shown)


def _write(reference: EndpointReference) -> str:
    return json.dumps([reference.address, *reference.parameters])


def _reference(text: str) -> EndpointReference:
    address, *parameters = json.loads(text)
    return EndpointReference(address, tuple(parameters))


def forgetting(identifier: str) -> Statement:
    return "DELETE FROM client_subscription WHERE identifier = ?", (identifier,)


def releasing(scanner: str, identifier: str) -> Statement:
    return "DELETE FROM device_subscription WHERE scanner = ? AND identifier = ?", (scanner, identifier)


def holding(held: Held) -> Statement:
    return ("REPLACE INTO device_subscription VALUES (?, ?, ?, ?, ?, ?, ?)",
            (held.scanner, held.identifier, held.address, held.notify_to, _write(held.manager), held.expires_at,
             json.dumps([attrs.astuple(one) for one in held.shown])))


def beginning(job: OwnJob) -> Statement:
    return ("REPLACE INTO own_job (scanner, id, job_id, created, answered, client) VALUES (?, ?, ?, ?, ?, ?)",
            (job.scanner, job.id, job.job_id, job.created, job.answered, job.client))


def ending(scanner: str, own_id: str) -> Statement:
    return "DELETE FROM own_job WHERE scanner = ? AND id = ?", (scanner, own_id)


def porting(scanner: str, port: int) -> Statement:
    """Replaces both the scanner's former port and the port's former scanner."""
    return "REPLACE INTO escl_port VALUES (?, ?)", (port, scanner)


def offering(one: KeptOffer) -> list[Statement]:
    """Inserts or replaces a row, which becomes the newest, and deletes the oldest rows beyond `MAX_KEPT`."""
    return [("REPLACE INTO escl_offer VALUES (?, ?, ?, ?, ?)",
             (one.scanner, one.place, one.endpoint, json.dumps(attrs.astuple(one.labels)), one.elements)),
            ("DELETE FROM escl_offer WHERE rowid <= (SELECT rowid FROM escl_offer ORDER BY rowid DESC LIMIT 1 "
             "OFFSET ?)", (MAX_KEPT,))]


def withdrawing(scanner: str) -> Statement:
    return "DELETE FROM escl_offer WHERE scanner = ?", (scanner,)


def recording(job: FinishedJob) -> Statement:
    """Inserts a finished job, as the latest one."""
    return (
        "INSERT INTO finished_job (scanner, job_id, state, reasons, scans_completed, created, completed, finished,"
        " superseded) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (job.scanner, job.job_id, job.state, " ".join(job.reasons), job.scans_completed, job.created, job.completed,
         job.finished, job.superseded))


def superseding(scanner: str, job_id: str) -> Statement:
    return "UPDATE finished_job SET superseded = 1 WHERE scanner = ? AND job_id = ?", (scanner, job_id)


def read_finished_job(row: tuple[Any, ...]) -> FinishedJob:
    scanner, job_id, state, reasons, scans, created, completed, finished, superseded = row
    return FinishedJob(scanner, job_id, state, tuple(reasons.split()), scans, created, completed, finished,
                       bool(superseded))


def read_kept_offer(row: tuple[Any, ...]) -> KeptOffer:
    scanner, place, endpoint, labels, elements = row
    return KeptOffer(scanner, place, endpoint, Labels(*map(str, json.loads(labels))), elements)


def saving(one: Subscription) -> Statement:
    """Inserts or updates a row; an update keeps its position, so that the oldest row stays first."""
    values = (
        one.identifier, one.scanner, one.client, one.manager, _write(one.notify_to.reference), one.notify_to.ip,
        None if one.end_to is None else _write(one.end_to.reference), None if one.end_to is None else one.end_to.ip,
        None if one.filter.wanted is None else json.dumps(one.filter.wanted), one.expires_at, one.panel,
        None if one.destinations is None else json.dumps([one.destinations.xml, *one.destinations.listed]),
        json.dumps([(token.context, token.given, token.current) for token in one.tokens]))
    return (f"INSERT INTO client_subscription VALUES ({', '.join('?' * len(values))}) ON CONFLICT (identifier) "
            "DO UPDATE SET expires_at = excluded.expires_at, panel = excluded.panel, "
            "destinations = excluded.destinations, tokens = excluded.tokens", values)


def differences(listed: Content, content: Content) -> list[Statement]:
    """Returns the statements that turn `listed` into `content`. New subscriptions come last, as in `content`."""
    identifiers = {one.identifier for one in content.subscriptions}
    places = {(one.scanner, one.identifier) for one in content.held}
    former, before = set(listed.subscriptions), set(listed.held)
    return [
        *(forgetting(one.identifier) for one in listed.subscriptions if one.identifier not in identifiers),
        *(saving(one) for one in content.subscriptions if one not in former),
        *(releasing(one.scanner, one.identifier) for one in listed.held
          if (one.scanner, one.identifier) not in places),
        *(holding(one) for one in content.held if one not in before),
        # A name may have moved from one scanner to another.
        *(("DELETE FROM adopted WHERE uuid = ?", (one.uuid,)) for one in listed.adopted
          if one not in content.adopted),
        *(("INSERT INTO adopted VALUES (?, ?)", (one.uuid, one.name)) for one in content.adopted
          if one not in listed.adopted),
        *(ending(one.scanner, one.id) for one in listed.own_jobs if one not in content.own_jobs),
        *(beginning(one) for one in content.own_jobs if one not in listed.own_jobs),
        *(porting(*one) for one in content.escl_ports if one not in listed.escl_ports),
        *(statement for one in content.escl_offers if one not in listed.escl_offers for statement in offering(one)),
        *(("REPLACE INTO stand_in VALUES (?, ?, ?)", version) for version in content.versions
          if version not in listed.versions),
        *([] if content.instance in (None, listed.instance) else [
            ("DELETE FROM instance", ()), ("INSERT INTO instance VALUES (?)", (content.instance,))])]


def read_subscription(row: tuple[Any, ...]) -> Subscription:
    (identifier, scanner, client, manager, notify_to, notify_ip, end_to, end_ip, wanted, expires_at, panel,
     destinations, tokens) = row
    xml, *listed = (None,) if destinations is None else json.loads(destinations)
    return Subscription(
        identifier, scanner, client, manager, Sink(_reference(notify_to), notify_ip),
        None if end_to is None else Sink(_reference(end_to), end_ip),
        ActionFilter(None if wanted is None else tuple(json.loads(wanted))), float(expires_at), bool(panel),
        None if xml is None else Destinations(xml, tuple((context, name) for context, name in listed)),
        tuple(Token(*token) for token in json.loads(tokens)))
