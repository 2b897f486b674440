"""Judges what happened in a world, with the checker of histories and with rules of its own.

What gateways do not promise is left out before: while two of them serve a scanner because one goes on alone, and what
was answered around an outage of Redis and was in the memory of one gateway only.
"""

from collections import Counter, defaultdict

import attrs

from tests.cluster.checker import check
from tests.cluster.history import FOREVER, History
from tests.cluster.inmemory.world import MAX_CONNECTIONS

AROUND = 3.0  # seconds before and after a failure for which what it may break is not judged
REWRITTEN = 12.0  # seconds after its return until a server that lost its data has it back from the owner
UNDER_WAY = 12.0  # seconds until what was sent before an Unsubscribe has arrived, or failed
JOB_EVENTS = ("JobStatusEvent", "JobEndStateEvent")
BESIDE = "Unsubscribe"  # what is left at the scanner is ended on a connection of its own
ON_ITS_WAY = 1.0  # seconds from the sending of a Subscribe to the scanner until that holds the subscription
ANSWERED, CALM = 5.0, 10.0  # seconds for requests to be answered once everything is calm


def judge(world):
    """Returns the broken promises, as text."""
    return [*world.violations, *_checked(world), *_events(world)]


def _checked(world):
    """The findings of the checker."""
    several, away, lists = world.several, world.without_redis, world.lists

    def is_single(one):
        return not several.touches(one.begin, one.begin if one.end is None else one.end, AROUND)

    excused = {one.request for one in (*lists["asked"], *lists["answers"]) if one.operation == "CreateScanJob" and (
        not is_single(one) or away.touches(one.begin, one.end or one.begin, AROUND) or is_forfeit(world, one.begin))}
    lost = {one.sink for one in lists["subscriptions"] if is_forfeit(world, one.granted)}

    def is_judged(one):
        return not (one.operation == "CreateScanJob" and one.request in excused)

    verdict = check(world.history(
        answers=tuple(one for one in lists["answers"] if is_single(one) and is_judged(one)
                      and not (one.operation == "Renew" and one.sink in lost)),
        announcements=tuple(one if is_single(one) else attrs.evolve(one, end=None) for one in lists["announcements"]),
        asked=tuple(filter(is_judged, lists["asked"])), connections=(), deliveries=()))
    limits = check(History(
        asked=tuple(one for one in lists["asked"] if is_single(one) and one.operation != BESIDE),
        pauses=tuple(lists["pauses"]), max_connections=MAX_CONNECTIONS))
    found = [one for one in verdict.violations if not one.startswith("event lost")]  # see `_events`
    return [*found, *(one for one in limits.violations if one.startswith("max_connections"))]


def is_forfeit(world, moment):
    """Whether what was granted or made then may be lost: no server had it when its gateway failed."""
    troubles = [at for kind, moments in world.failures.items() if kind != "redis" for at in moments]
    return world.without_redis.touches(moment, moment, AROUND) or world.several.touches(moment, moment, AROUND) or any(
        moment < emptied + AROUND and (emptied in world.forgotten or any(
            emptied - REWRITTEN < at < world.without_redis.end_of(emptied) + REWRITTEN for at in troubles))
        for emptied in world.emptied)


def _events(world):
    """Events that are lost, have several MessageIDs, come after the end, or reach the panel's client twice."""
    received = defaultdict(list)
    for one in world.lists["deliveries"]:
        received[one.sink].append(one)
    sent = Counter(one.identifier for one in world.lists["announcements"])
    ended = {one.sink: one.end for one in world.lists["answers"] if one.operation == "Unsubscribe" and one.is_good
             and not _is_in_memory(world, one.begin, one.end)}
    for subscription in world.lists["subscriptions"]:
        at_sink = received[subscription.sink]
        if subscription.ended == FOREVER and not is_forfeit(world, subscription.granted):
            yield from (f"event lost: {subscription.sink} did not get {one}" for one in world.lists["announcements"]
                        if _is_due(world, subscription, one) and not any(_is_about(got, one) for got in at_sink)
                        and not _is_overtaken(world, one, at_sink))
        yield from _repeated(subscription, at_sink, sent)
        end = ended.get(subscription.sink, FOREVER)
        yield from (f"after its end: {subscription.sink}, ended at {end:.3f}, got {one}" for one in at_sink
                    if one.at > end + UNDER_WAY)


def _repeated(subscription, at_sink, sent):
    ids = defaultdict(Counter)
    for one in at_sink:
        if one.identifier is not None:
            ids[one.event, one.identifier][one.message_id] += 1
    for (event, identifier), counted in ids.items():
        if event == "ScanAvailableEvent" and counted.total() > 1:
            yield f"panel event twice: {subscription.sink} got {identifier} {counted.total()} times"
        elif len(counted) > max(1, sent[identifier]):
            yield f"MessageID: {subscription.sink} got {identifier} as {sorted(counted)}"


def _is_due(world, subscription, one):
    """Whether a subscription must get an event that was announced."""
    return (one.end is not None and subscription.granted < one.begin and one.event in JOB_EVENTS
            and subscription.wants(one.event) and not _is_in_memory(world, one.begin, one.end))


def _is_in_memory(world, begin, end):
    """Whether what was answered then may have been in the memory of one gateway only."""
    return world.without_redis.touches(begin, end, AROUND) or world.several.touches(begin, end, AROUND) or any(
        begin - REWRITTEN < world.without_redis.end_of(moment) and moment < end + REWRITTEN
        for moment in world.emptied)


def _is_about(delivery, announcement):
    if delivery.identifier == announcement.identifier:
        return True
    one, other = delivery.status, announcement.status
    return delivery.event == announcement.event and one is not None and (
        one.job_id, one.state, one.scans) == (other.job_id, other.state, other.scans)


def _is_overtaken(world, announcement, at_sink):
    """Whether the gateway had told the same state of the job, or a later one, by an event that it made of an answer."""
    told = announcement.status
    return announcement.event == "JobStatusEvent" and any(
        got.event == announcement.event and got.identifier is None and got.status.job_id == told.job_id
        and got.status.rank >= told.rank for got in at_sink) and any(
        status.job_id == told.job_id and status.rank >= told.rank for one in world.lists["asked"]
        for status in one.statuses if one.end is not None and one.end <= announcement.end)


def judge_calm(world):
    """Creates one more job after everything is calm, reads it everywhere, and returns what is not as it must be."""
    scanner, client, made, answers = world.scanner, world.clients[0], [], []
    client.create(world.gateways[-1], client.new_creation(), lambda answer, body: made.append(answer))
    world.advance(ANSWERED)
    if not made or not made[0].is_good:
        return [f"calm: CreateScanJob was answered with {made}"]
    last = scanner.jobs[made[0].job_id]
    for state in ("Processing", "Completed"):
        scanner.change(last, state)
        world.advance(1.0)
    for job in list(scanner.jobs.values())[-4:]:
        for one in world.gateways:
            client.read(one, job.job_id, lambda answer, body, job=job: answers.append((answer, attrs.evolve(job))))
    world.advance(CALM)
    return [*_held(world), *_last_reads(answers), *_last_events(world, last)]


def _held(world):
    """The scanner holds one subscription of the gateways, and each panel entry once.

    A gateway may leave one behind that it was about to make, or had just made, when it failed, or makes while it is
    alone.
    """
    troubles = [moment for kind, moments in world.failures.items() if kind != "redis" for moment in moments]
    held = [one for one in world.scanner.held.values() if not is_forfeit(world, one.made) and not any(
        one.made - ON_ITS_WAY < moment < one.made + AROUND for moment in troubles)]
    own = [one.notify_to for one in held if not one.tokens]
    if len(own) > 1:
        yield f"calm: the scanner has {len(own)} subscriptions to events of jobs: {own}"
    shown = Counter(context for one in held for context in one.tokens)
    yield from (f"calm twice: {context} is shown {count} times" for context, count in shown.items() if count > 1)


def _last_reads(answers):
    for answer, job in answers:
        if answer.status is None or answer.status.rank != job.status.rank:
            yield f"calm: {answer.gateway} said {answer}, and the job is {job}"


def _last_events(world, last):
    got = {one.sink for one in world.lists["deliveries"] if one.event == "JobEndStateEvent"
           and one.status.job_id == last.job_id}
    for one in world.lists["subscriptions"]:
        if (one.ended == FOREVER and one.wants("JobEndStateEvent") and not is_forfeit(world, one.granted)
                and one.sink not in got):
            yield f"calm: {one.sink} got no JobEndStateEvent"
