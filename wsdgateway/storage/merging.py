"""Merges the content of a store's file that can be read again with that of memory, which is newer.

What is in memory stays. What the file lists beside it is of an earlier start and not known to this one; unless it has
ended since, it has to be restored.
"""

from collections.abc import Container

import attrs

from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.storage.store import Content

LEFT = "left "  # prefix of the identifier of a subscription at a scanner whose client's subscription is gone


def merge(known: Content, listed: Content, ended: Container[str]) -> tuple[Content, Content]:
    """Both contents merged, and the part of the file's that has to be restored.

    `ended` has the identifiers of clients' subscriptions that have ended, and the addresses where scanners notified us
    for those that have. A client that has subscribed again meanwhile keeps its new subscription alone. What is held at
    a scanner for nobody any more gets an identifier of its own: it is in the store until it has been ended there.
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
    merged = Content(
        (*known.subscriptions, *subscriptions), (*known.held, *held),
        (*known.adopted, *(one for one in adopted if one.name not in names)), _versions(known, listed),
        max((one for one in (known.instance, listed.instance) if one is not None), default=None))
    return merged, Content(subscriptions, held, adopted)


def _left(held: Held) -> Held:
    if held.identifier.startswith(LEFT):
        return held
    return attrs.evolve(held, identifier=f"{LEFT}{held.notify_to.rpartition('/')[2]}")


def _versions(known: Content, listed: Content) -> tuple[tuple[str, str, int], ...]:
    """The MetadataVersions of both: none goes back, and each grows where the metadata has changed."""
    versions = {endpoint: (digest, version) for endpoint, digest, version in listed.versions}
    for endpoint, digest, version in known.versions:
        former, last = versions.get(endpoint, (digest, version))
        versions[endpoint] = digest, max(version, last + (former != digest))
    return tuple((endpoint, *described) for endpoint, described in versions.items())
