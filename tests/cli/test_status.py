"""Tests of cli.status: the tables of `wsdgateway status`, with a fake admin site."""

import io
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from rich.console import Console

from wsdgateway.cli.adminclient import AdminError, AdminSite
from wsdgateway.cli.main import main
from wsdgateway.cli.status import MAX_JOBS, state_of, status

SCANNER = {"name": "front-desk", "scan": "http://198.51.100.20/WDP/SCAN", "reachable": True,
           "state": "Idle", "conditions": [], "problem": None, "problem_since": None,
           "searched": False, "stand_in": "urn:uuid:5", "announced": True,
           "subscription": "subscribed", "active_jobs": 1, "escl_url": None}
JOB = {"scanner": "front-desk", "job_id": "7", "state": "Processing", "reasons": ["None", "Other"], "lost": False,
       "closing": False, "scans_completed": 4, "created": None, "completed": None}
SPOOL = {"scanner": "front-desk", "client": "192.0.2.7", "name": "eSCL scan", "job_id": "7", "state": "scanned",
         "pages": 3, "waiting": 2, "bytes": 2_500_000}
OWN = {"scanner": "front-desk", "side": "device", "client": None, "notify_to": "http://192.0.2.5:5357/front-desk/…",
       "events": None, "destinations": [], "expires": "2999-01-01T00:00:00Z", "state": "subscribed", "waiting": 0,
       "failures": 0}
CLIENT = {**OWN, "side": "client", "client": "192.0.2.7", "notify_to": "http://192.0.2.7:5357/e",
          "events": ["http://x/scan/JobStatusEvent"], "destinations": [{"context": "c", "name": "[red]An\x1bna"}],
          "expires": "2026-01-01T00:00:00Z", "waiting": 1, "failures": 3}


@pytest.fixture
def site():
    """An admin site whose answers can be changed."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rpartition("/")[2].partition("?")[0]
            status, body = answers[name] if name == "readyz" else (200, json.dumps(answers[name]))
            body = body.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            """Logs nothing."""

    answers = {"scanners": [SCANNER], "jobs": [JOB], "subscriptions": [OWN, CLIENT], "spools": [], "cluster": None,
               "readyz": (200, "ready\n")}
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.answers, server.url = answers, f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    server.server_close()


def shown(url, **more):
    console = Console(file=io.StringIO(), width=200)
    status(AdminSite.at(url), watch=False, console=console, **more)
    return console.file.getvalue()


def test_three_tables(site):
    text = shown(site.url + "/")
    lines = {line.split()[0] + line.split()[1]: line.split() for line in text.splitlines() if len(line.split()) > 1}
    assert lines["front-deskhttp://198.51.100.20/WDP/SCAN"][2:] == ["ok", "(Idle)", "urn:uuid:5", "subscribed", "1"]
    assert lines["front-deskthis"][1:6] == ["this", "gateway", "192.0.2.5:5357", "all", "–"]
    assert lines["front-desk192.0.2.7"][2:] == ["192.0.2.7:5357", "JobStatus", "[red]An�na", "0", "s", "3", "failed",
                                                "attempts,", "1", "event", "waiting"]
    assert lines["front-desk7"][2:] == ["Processing", "Other", "4", "–", "–"]


def test_the_addresses_for_escl_and_the_jobs_in_the_spool(site):
    assert "eSCL" not in shown(site.url) and "Spool" not in shown(site.url)
    site.answers["scanners"] = [{**SCANNER, "escl_url": "http://192.0.2.5:8400/eSCL"}, {**SCANNER, "name": "cellar"}]
    site.answers["spools"] = [SPOOL, {**SPOOL, "client": None, "job_id": None, "state": "waiting", "bytes": 0}]
    lines = [line.rstrip() for line in shown(site.url).splitlines()]
    assert "urn:uuid:5    http://192.0.2.5:8400/eSCL  subscribed" in lines[2] and "urn:uuid:5    –  " in lines[3]
    heading = lines.index("Spool")
    assert [line.split("  ")[0] for line in lines[heading + 1:heading + 5]] == [
        "Scanner", "front-desk", "front-desk", ""]
    assert lines[heading + 2].split() == ["front-desk", "192.0.2.7", "7", "waiting", "for", "the", "client", "3", "2",
                                          "2.5", "MB"]
    assert lines[heading + 3].split()[1:] == ["this", "gateway", "–", "waiting", "for", "its", "turn", "3", "2", "0",
                                              "bytes"]


def test_the_jobs_in_the_spool_are_bounded(site):
    site.answers["spools"] = [{**SPOOL, "job_id": f"job-{number}"} for number in range(MAX_JOBS + 5)]
    text = shown(site.url)
    assert f"job-{MAX_JOBS - 1} " in text and f"job-{MAX_JOBS} " not in text and "and 5 more" in text


@pytest.mark.parametrize(("answer", "first"), [
    ((200, "ready\n"), ["Scanners"]),
    ((200, "ready\nwarning: the store\x1b is full\n"), ["warning: the store\ufffd is full", "", "Scanners"]),
    ((503, "tcp:5357: in use\nwarning: full\n"), ["not ready: tcp:5357: in use", "warning: full", "", "Scanners"])])
def test_what_is_wrong_with_the_gateway_comes_first(site, answer, first):
    site.answers["readyz"] = answer
    assert [line.rstrip() for line in shown(site.url).splitlines()[:len(first)]] == first


def test_the_last_jobs_are_shown(site):
    site.answers["jobs"] = [{**JOB, "job_id": f"job-{number}"} for number in range(MAX_JOBS + 5)]
    text = shown(site.url)
    assert "job-4 " not in text
    assert f"job-{MAX_JOBS + 4}" in text
    assert f"last {MAX_JOBS}" in text


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:1", "ftp://x", "", "http://127.0.0.1:abc",
                                 "http://127.0.0.1:1/a b", "http://[x"])
def test_a_url_that_is_no_admin_site_is_an_error(url):
    with pytest.raises(AdminError, match="admin site"):
        shown(url)


def test_unexpected_contents_are_an_error(site):
    site.answers["scanners"] = {"not": "a list"}
    with pytest.raises(AdminError, match="not the admin site"):
        shown(site.url)


@pytest.mark.parametrize("wrong", [1, None, "x", [], {}, {**SCANNER, "conditions": 5},
                                   {**SCANNER, "problem": "x", "problem_since": "then"}])
def test_unexpected_entries_are_an_error(site, wrong):
    site.answers["scanners"] = [wrong]
    with pytest.raises(AdminError, match="not the admin site"):
        shown(site.url)


def test_watching_continues_after_a_failure(site):
    rounds = []

    def sleep(seconds):
        rounds.append(seconds)
        if len(rounds) == 1:
            site.answers["scanners"] = None
        elif len(rounds) == 2:
            site.answers["scanners"] = [{**SCANNER, "name": "cellar"}]
        else:
            raise KeyboardInterrupt

    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    with pytest.raises(KeyboardInterrupt):
        status(AdminSite.at(site.url), watch=True, console=console, sleep=sleep)
    text = console.file.getvalue()
    assert text.index("front-desk") < text.index("retrying") < text.index("cellar")


@pytest.mark.parametrize(("fields", "shown_as"), [
    ({}, "ok (Idle)"), ({"state": None}, "ok"), ({"conditions": ["InputTrayEmpty"]}, "ok (Idle, feeder empty)"),
    ({"reachable": None, "state": None}, "not tried yet"),
    ({"problem": "paper jam", "problem_since": "2026-11-22T10:34:11Z", "conditions": ["MediaJam"]},
     "paper jam, since 10:34"),
    ({"reachable": False, "problem": "does not accept connections", "problem_since": "2026-11-21T23:59:59Z"},
     "does not accept connections, since 2026-11-21 23:59"),
    ({"reachable": None, "problem": "was never found", "problem_since": None}, "was never found")])
def test_the_state_is_the_problem_or_what_the_scanner_reports(fields, shown_as):
    assert state_of({**SCANNER, **fields}, datetime(2026, 11, 22, 12, tzinfo=UTC)) == shown_as


def test_json_is_one_object_with_the_lists_of_the_api(site, capsys):
    assert main(["status", "--json", site.url.removeprefix("http://")]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "scanners": [SCANNER], "jobs": [JOB], "subscriptions": [OWN, CLIENT], "spools": []}


CLUSTER = {"name": "print-server-1",
           "redis": {"url": "redis://…@h:6379/0", "reachable": True, "version": "7.0.15", "era": 3, "problem": None,
                     "problem_since": None},
           "gateways": [{"name": "print-server-1", "version": "1.2.3", "address": None,
                         "last_seen": "2026-09-30T11:59:50Z", "scanners": ["front-desk"]},
                        {"name": "print-server-2", "version": "1.2.4", "address": "http://192.0.2.6:5360",
                         "last_seen": "2026-09-30T11:59:50Z", "scanners": ["attic", "x"]}],
           "differences": ["[cluster] lease: must be the same at all gateways"]}
FOLLOWED = {**SCANNER, "name": "attic", "scan": None, "reachable": None, "state": None, "stand_in": None,
            "announced": False, "subscription": None, "active_jobs": None, "owner": "print-server-2",
            "ownership": "following"}


def test_several_gateways(site, capsys):
    site.answers.update(cluster=CLUSTER, scanners=[
        {**SCANNER, "owner": "print-server-1", "ownership": "owning", "lease_age": 0.5}, FOLLOWED,
        {**FOLLOWED, "name": "x", "owner": None}, {**FOLLOWED, "name": "y", "ownership": "taking"}])
    text = shown(site.url)
    assert "Name        Owner           Lease      Scan service" in text
    assert "front-desk  print-server-1  0.5 s ago  http://198.51.100.20/WDP/SCAN  ok (Idle)" in text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["attic"][1:] == ["print-server-2", "–", "–", "with", "its", "owner", "–", "–", "–"]
    assert rows["x"][1:] == ["–", "–", "–", "owned", "by", "no", "gateway", "–", "–", "–"]
    assert "being taken over" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "Redis redis://…@h:6379/0 answers (version 7.0.15)" in lines
    assert "[cluster] lease: must be the same at all gateways" in lines
    assert any(line.startswith("print-server-1 (this one) 1 – 1.2.3 ") for line in lines)
    assert any(line.startswith("print-server-2 2 http://192.0.2.6:5360 1.2.4 ") for line in lines)
    site.answers["cluster"] = {**CLUSTER, "redis": {
        **CLUSTER["redis"], "reachable": False, "version": None, "era": None, "problem": "no answer within 1 s"}}
    site.answers["scanners"][0]["ownership"] = "alone"
    text = shown(site.url)
    assert "Redis redis://…@h:6379/0 cannot be used: no answer within 1 s" in text
    assert "front-desk  print-server-1, without Redis  0.5 s ago  http" in text
    assert main(["status", "--json", site.url]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["scanners", "jobs", "subscriptions", "spools", "cluster"]


def test_json_and_watch_exclude_each_other(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["status", "--json", "--watch"])
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
