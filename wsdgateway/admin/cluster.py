"""The cluster as plain values: `/api/cluster`, the scanners of other gateways, and the lines of `/readyz`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import ceil
from typing import Any

from wsdgateway.bridge.cluster.state import ALONE, LEAVING, OWNING, TAKING, ClusterState, Ownership, ServerState

WARNING = "warning: "  # begins each line about trouble that does not keep the gateway from being ready
_SERVED = {OWNING: "owned", ALONE: "served without Redis", LEAVING: "being handed over"}


def time_text(seconds: float) -> str:
    """A time in seconds since 1970 in the form of the API."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def describe_cluster(cluster: ClusterState) -> dict[str, Any]:
    """Describe the shared server and the registered gateways. `name` is that of this gateway."""
    server = cluster.server()
    return {
        "name": cluster.name,
        "redis": {"url": server.url, "reachable": server.reachable, "version": server.version, "era": server.era,
                  "problem": None if server.problem is None else server.problem.removeprefix(f"{server.url}: "),
                  "problem_since": None if server.problem_since is None else time_text(server.problem_since)},
        "gateways": [{"name": one.name, "version": one.version, "address": one.address or None,
                      "last_seen": time_text(one.last_seen), "scanners": list(one.scanners)}
                     for one in cluster.gateways()],
        "differences": list(cluster.differences())}


def describe_ownership(one: Ownership | None) -> dict[str, Any]:
    """Describe which gateway owns a scanner. `lease_age` is in seconds. All is None without a cluster."""
    if one is None:
        return {"owner": None, "ownership": None, "lease_age": None}
    return {"owner": one.owner, "ownership": one.ownership,
            "lease_age": None if one.lease_age is None else round(one.lease_age, 1)}


def describe_followed(one: Ownership, base: str | None, here: int, there: int, *, escl_url: str | None = None,
                      escl_tls_url: str | None = None) -> dict[str, Any]:
    """Describe a scanner for which another gateway answers; what only that gateway knows is None.

    `base` is this gateway's URL for clients; those for eSCL are of the ports that it has open for the scanner. `here`
    and `there` count status reads answered by the owner and by the scanner.
    """
    return {
        "name": one.scanner,
        "path": f"/{one.scanner}/scan",
        "scan": None, "uuid": None, "stand_in": None,
        "announced": False,
        "client_url": None if base is None else f"{base.rstrip('/')}/{one.scanner}/scan",
        "escl_url": escl_url, "escl_tls_url": escl_tls_url,
        "escl_announced": [],
        "reachable": None, "reachable_since": None,
        "conditions": [],
        "problem": one.problem, "problem_since": None,
        "searched": False,
        "subscription": None, "events_seen": None, "friendly_name": None, "model": None, "firmware": None,
        "state": None,
        "status_reads": {"here": here, "there": there},
        "jobs": None, "active_jobs": None,
        **describe_ownership(one)}


def readiness(cluster: ClusterState) -> Iterator[str]:
    """A line for each scanner, which says how this gateway serves it, and a warning for a server that is away."""
    yield from (f"{one.scanner}: {_how(one)}" for one in cluster.ownerships())
    problem = problem_of(cluster.server())
    if problem is not None:
        yield f"{WARNING}{problem}"


def cannot_serve(cluster: ClusterState) -> str | None:
    """The reason why this gateway can serve none of its scanners; None if it can serve one.

    None also during a takeover, since requests wait for it; but they do not wait for the end of the grace in which no
    gateway may take a scanner.
    """
    every = cluster.ownerships()
    if not every or any(not one.is_elsewhere or (one.owner is not None and one.problem is None) for one in every):
        return None
    server = cluster.server()
    problem = problem_of(server)
    if problem is None and all(one.owner is None for one in every):
        if server.reachable is None:
            problem = f"{server.url}: no answer yet"
        elif server.grace > 0.0:
            problem = (f"{server.url}: gateways may take scanners in {ceil(server.grace)} s, since it has just been "
                       "started, or its clock was changed")
    return None if problem is None else f"no scanner can be served: {problem}"


def problem_of(server: ServerState) -> str | None:
    """The problem of the server in a sentence that names it; None if there is none."""
    if server.problem is None:
        return f"{server.url}: no answer" if server.reachable is False else None
    return f"{server.url}: {server.problem.removeprefix(f'{server.url}: ')}"


def _how(one: Ownership) -> str:
    if not one.is_elsewhere:
        return _SERVED[one.ownership]
    if one.ownership == TAKING:
        return "being taken over"
    if one.owner is None:
        return "no gateway owns it"
    return f"passed on to {one.owner}" if one.problem is None else f"owned by {one.owner}: {one.problem}"
