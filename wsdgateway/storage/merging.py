"""Merges the content of a store file that has become readable again with the content of memory, which is newer.

Entries in memory stay as they are. Other entries of the file come from an earlier start; unless they have ended since,
they have to be restored.
"""

from collections.abc import Container

import attrs

from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.frontends.escl.keptoffer import KeptOffer
from wsdgateway.storage.store import Content

LEFT = "left "  # prefix of the identifier of a subscription at a scanner whose client's subscription is gone


def merge(known: Content, listed: Content, ended: Container[str]) -> tuple[Content, Content]:
    """Returns the merged content, and the part of the file's content that has to be restored.

    `ended` holds the identifiers of clients' subscriptions that have ended, the NotifyTo addresses of subscriptions at
    scanners that have ended, and the names of the gateway's own jobs that have. If a client has subscribed again
    meanwhile, only its new subscription is kept. A subscription at a scanner that is no longer needed gets an
    identifier of its own and stays in the store until it has been ended at the scanner.
    """
    identifiers = {one.identifier for one in known.subscriptions}
    likenesses = {(one.scanner, one.likeness) for one in known.subscriptions}
    subscriptions = tuple(one for one in listed.subscriptions if one.identifier not in identifiers
                          and one.identifier not in ended and (one.scanner, one.likeness) not in likenesses)
    restored = {one.identifier for one in subscriptions}
    places = {one.notify_to for one in known.held}
    held = tuple(_left(one) if one.identifier not in restored else one for one in listed.held
                 if one.notify_to not in places and one.notify_to not in ended)
    uuids, names = {one.uuid for one in known.adopted}, {one.name for one in known.adopted}
    adopted = tuple(one for one in listed.adopted if one.uuid not in uuids and one.uuid not in ended)
    jobs = {(one.scanner, one.id) for one in known.own_jobs}
    own_jobs = tuple(one for one in listed.own_jobs if (one.scanner, one.id) not in jobs
                     and name_of_job(one.scanner, one.id) not in ended)
    merged = Content(
        (*known.subscriptions, *subscriptions), (*known.held, *held),
        (*known.adopted, *(one for one in adopted if one.name not in names)), _versions(known, listed),
        max((one for one in (known.instance, listed.instance) if one is not None), default=None),
        (*known.own_jobs, *own_jobs), _ports(known, listed), _offers(known, listed))
    return merged, Content(subscriptions, held, adopted, own_jobs=own_jobs)


def _ports(known: Content, listed: Content) -> tuple[tuple[str, int], ...]:
    """The eSCL ports: those of this start, and those of the file whose scanner and port have no other."""
    names, ports = {name for name, _ in known.escl_ports}, {port for _, port in known.escl_ports}
    return (*known.escl_ports, *((name, port) for name, port in listed.escl_ports
                                 if name not in names and port not in ports))


def _offers(known: Content, listed: Content) -> tuple[KeptOffer, ...]:
    """The offers of eSCL scanners: what was read since the start, and what the file has of other scanners."""
    names = {one.scanner for one in known.escl_offers}
    return (*(one for one in listed.escl_offers if one.scanner not in names), *known.escl_offers)


def name_of_job(scanner: str, own_id: str) -> str:
    """The name under which the end of a job of the gateway's own is recorded; no scanner's name has a space."""
    return f"job {scanner} {own_id}"


def _left(held: Held) -> Held:
    if held.identifier.startswith(LEFT):
        return held
    return attrs.evolve(held, identifier=f"{LEFT}{held.notify_to.rpartition('/')[2]}")


def _versions(known: Content, listed: Content) -> tuple[tuple[str, str, int], ...]:
    """Merges the MetadataVersions: none decreases, and each increases if the metadata has changed."""
    versions = {endpoint: (digest, version) for endpoint, digest, version in listed.versions}
    for endpoint, digest, version in known.versions:
        former, last = versions.get(endpoint, (digest, version))
        versions[endpoint] = digest, max(version, last + (former != digest))
    return tuple((endpoint, *described) for endpoint, described in versions.items())
