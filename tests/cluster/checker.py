"""Checks a history against what several gateways promise together.

- No read returns a status older than one that ended before the read began: an announcement that the scanner got 202
  for, an answer to anybody, or an event that reached a sink.
- A finished job stays as it is, and nothing from before an answered CancelJob is read.
- Each event that the scanner got 202 for reaches every subscription that lives to the end, at least once, with one
  MessageID over a takeover; a ScanAvailableEvent at most once. A subscription that is ended may miss what waits to be
  delivered. Not sent is a JobStatusEvent to those who got the same state or a later one from the gateway before, which
  makes events of the scanner's answers. An event that Redis does not have may be lost if the owner is lost a moment
  later, or be made once more by the next one. The end of a job that began before is told even then (`missed_ends`).
- A subscription that was granted is known to every gateway until it is ended.
- A CreateScanJob makes at most one job, however often it is sent, unless Redis could not be told of it before its owner
  was lost, or two gateways serve the scanner meanwhile.
- Each image that a client has fetched is one that the scanner has sent of that job, and each is fetched once.
- The scanner's `max_connections` and `max_rate` hold for all gateways together. CancelJob may use one connection more.

Faults are allowed answers, and are counted.
"""

from collections import Counter, defaultdict

from tests.cluster.history import FINAL, FOREVER, PHASES
from tests.cluster.readchecks import check_reads
from tests.cluster.verdict import Verdict

UNKNOWN = "InvalidMessage"  # the fault of a Renew whose subscription is not known
PANEL, JOB_END = "ScanAvailableEvent", "JobEndStateEvent"
URGENT = ("CancelJob", "Renew", "Unsubscribe")  # requests that may use one more connection than `max_connections`
CLOSING_SECONDS = 2.0  # by which a connection may appear to be closed later than it was, on a loaded machine
WAKING_SECONDS = 2.0  # for a gateway that was stopped to close its connections to the scanner
TELLING_SECONDS = 5.0  # for an owner to deliver an event to all subscribers, on a loaded machine
JOB_SECONDS = 60.0  # in which a job ends
BUNCHED = 2.0  # requests that may arrive together although they were sent one after the other


def check(history):
    """Checks a history. Returns the verdict."""
    verdict = Verdict()
    _count(history, verdict)
    check_reads(history, verdict)
    _check_creations(history, verdict)
    _check_subscriptions(history, verdict)
    _check_deliveries(history, verdict)
    _check_images(history, verdict)
    if history.max_connections is not None:
        _check_connections(history, verdict)
    if history.max_rate is not None:
        _check_rate(history, verdict)
    return verdict


def _count(history, verdict):
    for answer in history.answers:
        verdict.counts[answer.operation] += 1
        if not answer.is_good:
            verdict.counts[f"{answer.operation}: {answer.fault}"] += 1
    verdict.counts["announcements"] = len(history.announcements)
    verdict.counts["announcements without 202"] = sum(one.end is None for one in history.announcements)
    verdict.counts["requests at the scanner"] = len(history.asked)
    verdict.counts["deliveries"] = len(history.deliveries)


# CreateScanJob.


def _check_creations(history, verdict):
    made, answered, asked_alone = defaultdict(set), defaultdict(set), set()
    alone = [pause for pause in history.pauses if pause.alone]
    for one in history.answers:
        if one.operation == "CreateScanJob" and any(one.begin < pause.end and pause.begin < one.end for pause in alone):
            asked_alone.add(one.request)
    for one in history.asked:
        if one.operation == "CreateScanJob":
            verdict.counts["CreateScanJob at the scanner"] += 1
            if one.job_id is not None:
                made[one.request].add((one.job_id, one.begin))
    for one in history.answers:
        if one.operation == "CreateScanJob" and one.is_good:
            answered[one.request].add(one.job_id)
    for request, jobs in made.items():
        moments = sorted(begin for _, begin in jobs)
        if len(jobs) > 1 and (request in asked_alone or _is_forgotten(history, moments[0], moments[0], moments[-1])):
            verdict.counts["two jobs without Redis"] += 1
        elif len(jobs) > 1:
            verdict.violated("two jobs", f"CreateScanJob {request} made {len(jobs)}: {sorted(jobs)}")
    for request, ids in answered.items():
        if len(ids) > 1 and request not in asked_alone:
            verdict.violated("two answers", f"CreateScanJob {request} was answered with the jobs {sorted(ids)}")
        if history.asked and not ids <= {job_id for job_id, _ in made[request]}:
            verdict.violated("invented", f"CreateScanJob {request} was answered with {sorted(ids)}, and the scanner "
                                         f"made {sorted(made[request])}")


# Events.


def _check_subscriptions(history, verdict):
    ended = {one.sink: one.ended for one in history.subscriptions}
    for one in history.answers:
        if one.operation == "Renew" and one.fault == UNKNOWN and one.end < ended.get(one.sink, -FOREVER):
            verdict.violated("subscription lost",
                             f"{one.gateway} did not know the one of {one.sink} at {one.begin:.3f}")


def _key(one):
    """The key that a notification at the scanner and one at a sink have in common if they are the same event."""
    if one.event == PANEL:
        return one.event, one.identifier
    status = one.status
    return None if status is None else (one.event, status.job_id, status.state, status.scans, status.reasons)


def _check_deliveries(history, verdict):
    received = defaultdict(lambda: defaultdict(list))
    for one in history.deliveries:
        received[one.sink][_key(one)].append(one)
    announced = [one for one in history.announcements if one.end is not None and _key(one) is not None]
    times = Counter(map(_key, history.announcements))
    begins = {}
    for one in history.announcements:
        begins[_key(one)] = min(one.begin, begins.get(_key(one), FOREVER))
    for subscription in history.subscriptions:
        at_sink = received[subscription.sink]
        made = [one for deliveries in at_sink.values() for one in deliveries
                if one.status is not None and one.at < begins.get(_key(one), FOREVER)]
        for one in announced:
            is_due = subscription.granted < one.begin and subscription.ended == FOREVER and one.event != PANEL
            if not is_due or not subscription.wants(one.event) or at_sink[_key(one)]:
                continue
            if _is_overtaken(history, one, made, (told for those in at_sink.values() for told in those)):
                continue
            if _is_forgotten(history, one.begin, one.end, one.end + TELLING_SECONDS):
                verdict.counts["events lost with an owner without Redis"] += 1
            else:
                verdict.violated("event lost", f"{subscription.sink} did not get {_key(one)}, which was announced to "
                                               f"{one.gateway} at {one.end:.3f}")
        for key, deliveries in at_sink.items():
            if key is not None and key[0] == PANEL and len(deliveries) > 1:
                verdict.violated("panel event twice", f"{subscription.sink} got {key[1]} {len(deliveries)} times")
            expected = max(1, times[key] + any(_key(one) == key for one in made))
            if len({one.message_id for one in deliveries}) > expected:
                last = deliveries[-1].at
                if any(_is_forgotten(history, one.at - TELLING_SECONDS, one.at, last) for one in deliveries):
                    verdict.counts["events made again after an owner was lost without Redis"] += 1
                elif _is_made_again(history, key, begins.get(key, FOREVER)):
                    verdict.counts["events made again by the same owner"] += 1
                else:
                    verdict.violated("MessageID", f"{subscription.sink} got {key} with {len(deliveries)} MessageIDs, "
                                                  f"at {', '.join(f'{one.at:.3f}' for one in deliveries)}")
            verdict.counts["events delivered again"] += max(0, len(deliveries) - expected)


def _is_overtaken(history, announced, made, deliveries):
    """Whether the gateway had told the same state of the job, or a later one, by an event that it made itself.

    It may have had the answer before it handled the announcement, and have told it later.
    """
    if announced.event != "JobStatusEvent":
        return False
    told = list(made)
    if any(_tells_later(status, announced) for one in history.asked if one.begin < announced.end
           for status in one.statuses):
        told += deliveries
    return any(one.event == announced.event and _tells_later(one.status, announced) for one in told)


def _tells_later(status, announced):
    return (status is not None and status.job_id == announced.status.job_id
            and status.rank >= announced.status.rank)


def _is_made_again(history, key, announced):
    """Whether the owner that was told this event at that time asked the scanner, and got the same answer.

    It makes the event of the answer if that comes first, and makes it again if it is not certain that a JobId stands
    for the same job. The next owner tells both.
    """
    _, job_id, state, scans, _ = key
    asked = [one for one in history.asked if one.gateway is not None]
    owner = max((one for one in asked if one.begin < announced), key=lambda one: one.begin, default=None)
    return owner is not None and any(
        one.gateway == owner.gateway and one.end is not None
        and any((status.job_id, status.state, status.scans) == (job_id, state, scans) for status in one.statuses)
        for one in asked)


def _is_forgotten(history, begin, end, lost):
    """Whether Redis may lack what was told from `begin` to `end`, and a gateway was lost after that, by `lost`."""
    return (any(outage.begin <= (lost if outage.is_emptied else end) and begin <= outage.end
                for outage in history.outages)
            and any(loss.begin <= lost and begin <= loss.end for loss in history.losses))


def lost_events(history):
    """Returns the events that subscriptions miss, as evidence."""
    verdict = Verdict()
    _check_deliveries(history, verdict)
    return [one for one in verdict.violations if one.startswith("event lost")]


def missed_ends(history):
    """Returns the ends of jobs that a subscription missed: (sink, JobId), for jobs that were created while it lived.

    It does not matter whether the scanner could announce them: the gateway makes the event from the status that it
    asks for. A job that began with an owner that was lost without Redis may be unknown to the next one.
    """
    ended = {status.job_id for one in (*history.asked, *history.announcements)
             for status in (one.statuses if hasattr(one, "statuses") else [one.status])
             if status is not None and PHASES[status.state] == FINAL}
    told = defaultdict(set)
    for one in history.deliveries:
        if one.event == JOB_END and one.status is not None:
            told[one.sink].add(one.status.job_id)
    created = [(one.begin, one.job_id) for one in history.asked
               if one.operation == "CreateScanJob" and one.job_id in ended
               and not _is_forgotten(history, one.begin, one.begin, one.begin + JOB_SECONDS)]
    return [(one.sink, job_id) for one in history.subscriptions for begin, job_id in created
            if one.wants(JOB_END) and one.granted < begin and one.ended == FOREVER and job_id not in told[one.sink]]


# Images.


def _check_images(history, verdict):
    sent = Counter((one.job_id, one.image) for one in history.asked if one.image is not None)
    got = Counter((one.job_id, one.image) for one in history.answers
                  if one.operation == "RetrieveImage" and one.is_good)
    for (job_id, image), times in got.items():
        if times > sent[job_id, image]:
            verdict.violated("image", f"{times} clients got {'no image' if image is None else 'the same image'} of job "
                                      f"{job_id}, which the scanner sent {sent[job_id, image]} times")


# Limits.


def _check_connections(history, verdict):
    limit = history.max_connections
    connections = [part for one in history.connections
                   for part in _without(one.gateway, one.opened, one.closed, history.pauses)]
    # A request is in progress at the gateway for longer than here, and its connection is closed earlier.
    requests = [part for one in history.asked if one.end is not None
                for part in _without(one.gateway, one.begin, one.end, history.pauses)]
    urgent = [(one.begin, one.end + CLOSING_SECONDS) for one in history.answers if one.operation in URGENT]
    urgent += [(one.begin, one.end + CLOSING_SECONDS) for one in history.asked
               if one.operation in URGENT and one.end is not None]
    for what, spans, slack in (("connections", connections, CLOSING_SECONDS), ("requests", requests, 0.0)):
        most = 0
        for since, until, count in _levels(spans):
            if until - since > slack:
                most = max(most, count)
                is_allowed = count == limit + 1 and _uncovered(since, until, urgent) <= slack
                if count > limit and not is_allowed:
                    whose = sorted(str(one.gateway) for one in history.connections if one.opened <= since < one.closed)
                    verdict.violated("max_connections", f"{count} {what} at the scanner from {since:.3f} to "
                                                        f"{until:.3f}: {', '.join(whose)}")
        verdict.counts[f"{what} at once"] = most


def _uncovered(since, until, spans):
    """The seconds of a span in which there is none of the others."""
    left, at = 0.0, since
    for begin, end in sorted(spans):
        if end > at:
            left += max(0.0, min(begin, until) - at)
            at = max(at, min(end, until))
    return left + max(0.0, until - at)


def _levels(spans):
    """For each number of spans that overlap, the times in which there are at least so many: from, to, number."""
    changes = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    reached = []
    for moment, change in changes:
        if change > 0:
            reached.append(moment)
        else:
            yield reached.pop(), moment, len(reached) + 1


def _without(gateway, begin, end, stopped):
    """The parts of a span in which its gateway was not stopped."""
    parts = [(begin, end)]
    for pause in stopped:
        if pause.gateway == gateway:
            awake = pause.end + WAKING_SECONDS
            parts = [part for begin, end in parts
                     for part in ((begin, min(end, pause.begin)), (max(begin, awake), end)) if part[0] < part[1]]
    return parts


def _check_rate(history, verdict):
    full = max(1.0, history.max_rate)
    left, before = full, -FOREVER
    for one in sorted(history.asked, key=lambda one: one.begin):
        left = full if before == -FOREVER else min(full, left + (one.begin - before) * history.max_rate)
        left -= 1.0
        before = one.begin
        if left < -BUNCHED:
            verdict.violated("max_rate", f"{one.operation} at {one.begin:.3f} exceeds {history.max_rate:g} requests a "
                                         f"second by {-left:.1f}")
            left = 0.0
