"""The descriptions of an overview, in the form of the JSON lists, and HTML of it."""

import re

from twisted.internet.defer import succeed
from twisted.web.template import flattenString

from wsdgateway.admin.overview import Overview
from wsdgateway.exchangelog.entry import Entry
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.metrics import Metrics

NOON = 1790769600.0  # 30 Sep 2026, 12:00 UTC
HOSTILE = "\"><script>alert('1')</script>&amp;\N{RIGHT-TO-LEFT OVERRIDE}"


def scanner(name="front-desk", **more):
    return {
        "name": name, "path": f"/{name}/scan", "scan": "http://198.51.100.20/WDP/SCAN", "uuid": None,
        "stand_in": "urn:uuid:1", "announced": False, "client_url": f"http://192.0.2.5:5357/{name}/scan",
        "escl_url": None, "escl_tls_url": None, "escl_announced": [], "reachable": True,
        "reachable_since": "2026-09-30T08:00:00Z", "conditions": [],
        "problem": None, "problem_since": None, "searched": False, "subscription": "subscribed", "events_seen": True,
        "friendly_name": None, "model": None, "firmware": None, "state": "Idle",
        "status_reads": {"here": 3, "there": 1}, "jobs": 0, "active_jobs": 0,
        "owner": None, "ownership": None, "lease_age": None, **more}


def job(job_id="7", **more):
    return {"scanner": "front-desk", "job_id": job_id, "state": "Completed", "reasons": [], "scans_completed": 2,
            "created": "2026-09-30T11:00:00Z", "completed": "2026-09-30T11:01:00Z", "final": True, "lost": False,
            "closing": False, "finished": None, "timeline": [], **more}


def subscription(**more):
    return {"scanner": "front-desk", "side": "client", "id": "urn:uuid:1", "client": "192.0.2.77:5000",
            "notify_to": "http://192.0.2.77:8080/x", "end_to": None, "events": None, "expires": "2026-09-30T13:00:00Z",
            "state": "ok", "waiting": 0, "failures": 0, "panel": None, "destinations": [], **more}


def spool(**more):
    return {"scanner": "front-desk", "client": "192.0.2.77", "name": "eSCL scan", "job_id": "7", "state": "scanning",
            "pages": 3, "waiting": 2, "bytes": 2_500_000, **more}


def entry(operation="GetJobElements", **more):
    return Entry(**{"time": NOON - 60, "scanner": "front-desk", "client": "192.0.2.77:5000", "operation": operation,
                    "action": None, "message_id": None, "job_id": None, "source": "local", "status": 200, "fault": None,
                    "request_bytes": 1, "response_bytes": 2, "seconds": 0.001, **more})


class Described(Overview):
    """An overview of given scanners, jobs, subscriptions and exchanges, without a gateway."""

    def __init__(self, seconds, *, scanners=(), jobs=(), subscriptions=(), exchanges=(), spools=(), room=None,
                 name="print-server-1"):
        super().__init__(name, [], [], Metrics(), ExchangeLog(), lambda name: succeed([]), lambda: NOON, seconds,
                         room=room)
        self.given = list(scanners), list(jobs), list(subscriptions), list(spools)
        for one in exchanges:
            self.log.add(one, b"<asked/>", b"<answered/>")

    def describe_scanners(self):
        return self.given[0]

    async def describe_jobs(self, *, scanner="", most=None):
        found = [one for one in self.given[1] if scanner in ("", one["scanner"])]
        return found if most is None else found[-most:]

    def describe_subscriptions(self):
        return self.given[2]

    def describe_spools(self, scanner=""):
        return [one for one in self.given[3] if scanner in ("", one["scanner"])]


def html(tag):
    """The HTML of a tag that waits for nothing."""
    found = []
    flattenString(None, tag).addBoth(found.append)
    return found[0].decode()


def text(page):
    """The text of HTML, one space between its parts."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())
