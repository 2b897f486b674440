"""Tests of the pages as a browser gets them, from given scanners, jobs, subscriptions and exchanges."""

import re

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from tests.admin.descriptions import HOSTILE, Described, entry, job, scanner, spool, subscription, text
from wsdgateway.admin.access import Access
from wsdgateway.admin.connections import AdminLimits
from wsdgateway.admin.overviewpage import EXCHANGES, JOBS, PROBLEMS, SCANNERS
from wsdgateway.admin.paging import ROWS
from wsdgateway.admin.site import AdminSite
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.program import version_line

JAM = {"state": "Stopped", "conditions": ["MediaJam"], "problem": "paper jam", "problem_since": "2026-09-30T10:32:00Z"}


class Browser:
    """A browser at an admin site, with a simulated clock."""

    def __init__(self, **described):
        self.clock = Clock()
        self.overview = Described(self.clock.seconds, **described)
        self.site = AdminSite(self.clock, self.overview, Access(None, (), self.clock.seconds), "1", AdminLimits(), None)
        self.site.start()

    def get(self, path, method="GET"):
        """Status and body of a page."""
        transport = StringTransportWithDisconnection(peerAddress=IPv4Address("TCP", "127.0.0.1", 5))
        transport.protocol = self.site.buildProtocol(None)
        transport.protocol.makeConnection(transport)
        transport.protocol.dataReceived(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\n"
                                        "Connection: close\r\n\r\n".encode())
        head, _, body = transport.value().partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def count(self, source, number=1, operation="GetJobElements", of="front-desk"):
        for _ in range(number):
            self.overview.metrics.request(of, operation, source, 0.001)


def tiles(page):
    return [text(tile) for tile in re.findall(r'<li class="tile.*?</li>', page, re.DOTALL)]


def part(page, identifier):
    """The text of a part of a page up to the next section."""
    return text(page.partition(f'id="{identifier}"')[2].partition(">")[2].partition("</section>")[0])


def test_problems_come_first_with_cause_and_time():
    browser = Browser(scanners=[scanner("a"), scanner("b", **JAM), scanner(
        "c", reachable=False, problem="does not answer", problem_since="2026-09-30T08:00:00Z")])
    _, page = browser.get("/")
    assert text(re.search(r'<ul class="problems">(.*?)</ul>', page, re.DOTALL)[1]) == (
        "b : paper jam , since 10:32 c : does not answer , since 08:00")
    headings = [text(one) for one in re.findall(r"<h[12].*?</h[12]>", page)]
    assert headings == ["Overview", "Problems", "Scanners", "Latest jobs", "Requests in the last hour",
                        "Latest exchanges", "Subscriptions"]
    assert page.index("Problems") < page.index("tiles") < page.index("Latest jobs") < page.index("Latest exchanges")


def test_without_problems_there_is_no_heading_for_them():
    _, page = Browser(scanners=[scanner()]).get("/")
    assert "Problems" not in page and '<span class="status good">Ready</span>' in page


def test_the_tiles():
    browser = Browser(scanners=[scanner("a", active_jobs=2), scanner("b", **JAM), scanner("c", reachable=None)])
    assert tiles(browser.get("/")[1]) == [
        "Working scanners 1 of 3 1 with problems, 1 not tried yet", "Active jobs 2 on all scanners",
        "Errors in 15 minutes 0 no answer from a scanner", "Reads answered here – none in the last hour"]
    browser.count("local", 3)
    browser.count("device")
    browser.count("local", operation="CreateScanJob")  # no read
    browser.overview.metrics.device_request("a", "GetJobElements", "error")
    assert tiles(browser.get("/")[1])[2:] == [
        "Errors in 15 minutes 1 no answer from a scanner", "Reads answered here 75 % 3 of 4 in the last hour"]


def test_old_errors_and_reads_are_not_counted():
    browser = Browser(scanners=[scanner()])
    browser.count("local")
    browser.overview.metrics.device_request("front-desk", "GetJobElements", "error")
    browser.clock.pump([60.0] * 17)
    assert [one.split(" minutes ")[-1][:1] for one in tiles(browser.get("/")[1])[2:3]] == ["0"]
    assert "1 of 1 in the last hour" in tiles(browser.get("/")[1])[3]
    browser.clock.pump([60.0] * 60)
    assert "none in the last hour" in tiles(browser.get("/")[1])[3]


def test_the_chart_counts_the_last_hour_and_each_scanner():
    browser = Browser(scanners=[scanner("a"), scanner("b")])
    browser.count("local", 3, of="a")
    browser.count("device", of="b")
    browser.count("refused", 5, of="b")
    assert "3 answered by the gateway 1 forwarded to a scanner" in part(browser.get("/")[1], "hour")
    assert "0 answered by the gateway 1 forwarded to a scanner" in part(browser.get("/scanners/b")[1], "hour")


def test_sampling_ends_with_the_site():
    browser = Browser()
    browser.site.stop()
    assert not browser.clock.getDelayedCalls()


@pytest.mark.logs_failure
def test_a_sample_that_fails_does_not_end_the_history(monkeypatch):
    browser = Browser(scanners=[scanner()])
    monkeypatch.setattr(browser.overview.metrics, "totals", lambda: 1 / 0)
    browser.clock.advance(60.0)
    monkeypatch.undo()
    browser.count("local")
    browser.clock.advance(60.0)
    assert "1 answered by the gateway" in browser.get("/")[1]


def test_the_overview_is_bounded():
    browser = Browser(scanners=[scanner(f"s-{number}", **JAM) for number in range(100)],
                      jobs=[job(str(number)) for number in range(500)],
                      subscriptions=[subscription() for _ in range(500)],
                      exchanges=[entry(job_id=f"x{number}") for number in range(1000)])
    _, page = browser.get("/")
    assert page.count('class="who"') == SCANNERS and page.count('href="/exchanges/') == EXCHANGES
    assert page.count('data-column="Ended"') == JOBS
    assert "80 more scanners with problems" in page and page.count('<li class="problem">') == PROBLEMS + 1
    assert "All scanners (100)" in page and "All subscriptions (500)" in page
    assert '>499</bdi></td>' in page and ">x999</bdi></td>" in page and len(page) < 60_000


def test_a_gateway_without_anything_says_so():
    browser = Browser()
    said = text(browser.get("/")[1])
    for words in ("No scanner is configured, and none has been found. On this host, wsdgateway discover --toml prints "
                  "sections for the configuration.", "No jobs yet.", "No requests in the last hour.",
                  "No exchanges yet.", "No subscriptions.", "Working scanners 0 of 0"):
        assert words in said
    for path, words in (("/scanners", "No scanner is configured"), ("/jobs", "No jobs yet."),
                        ("/exchanges", "No exchanges match."), ("/subscriptions", "No subscriptions.")):
        assert words in browser.get(path)[1]


def test_version_and_uptime():
    browser = Browser()
    browser.clock.advance(3 * 3600.0 + 720.0)
    for path in ("/", "/jobs", "/scanners", "/exchanges", "/subscriptions"):
        assert f"{version_line()}, running for 3 h 12 min" in browser.get(path)[1]


@pytest.mark.parametrize(("path", "section"), [
    ("/", "Overview"), ("/scanners", "Scanners"), ("/scanners/front-desk", "Scanners"), ("/jobs?page=1", "Jobs"),
    ("/exchanges", "Exchanges"), ("/exchanges/1", "Exchanges"), ("/subscriptions", "Subscriptions")])
def test_each_page_has_one_heading_landmarks_and_its_place(path, section):
    browser = Browser(scanners=[scanner()], exchanges=[entry()])
    status, page = browser.get(path)
    assert status == 200 and page.startswith("<!DOCTYPE html>\n<html lang=\"en\">")
    assert re.findall(r'<a href="[^"]*" aria-current="page">([^<]*)</a>', page) == [section]
    assert [page.count(f"<{tag}") for tag in ("h1", "main", "header", "footer", "title")] == [1] * 5
    assert browser.get(path, "HEAD") == (200, "")


@pytest.mark.parametrize("path", ["/", "/scanners", "/scanners/front-desk", "/jobs", "/exchanges", "/exchanges/1",
                                  "/subscriptions", "/login", "/nothing"])
def test_ids_are_unique_and_whatever_names_one_exists(path):
    browser = Browser(scanners=[scanner(**JAM), scanner("vault")], jobs=[job()], exchanges=[entry()],
                      subscriptions=[subscription()])
    browser.count("local")
    _, page = browser.get(path)
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    named = re.findall(r' (?:aria-labelledby|for|data-copy)="([^"]*)"', page) + re.findall(r'href="#([^"]*)"', page)
    assert named and set(named) <= set(ids)
    assert all(' id="' in part for part in re.findall(r"<[^>]* data-live=[^>]*>", page))


@pytest.mark.parametrize(("path", "kind"), [("/jobs", "jobs"), ("/subscriptions", "subscriptions"),
                                            ("/scanners", "scanners")])
def test_lists_have_pages(path, kind):
    make = {"jobs": job, "subscriptions": lambda name: subscription(notify_to=name),
            "scanners": lambda name: scanner(name, scan=name)}[kind]
    browser = Browser(**{kind: [make(f"n-{number}x") for number in range(ROWS + 10)]})
    _, page = browser.get(path)
    found = set(re.findall(r"n-\d+x", page))
    assert f'href="{path}?page=2" rel="next">Older</a>' in page and 'rel="prev"' not in page
    assert ("Page 1<" if kind == "jobs" else "Page 1 of 2<") in page  # jobs are not counted
    _, page = browser.get(f"{path}?page=2")
    rest = set(re.findall(r"n-\d+x", page))
    assert (len(found), len(rest)) == (ROWS, 10) and not found & rest
    assert f'href="{path}" rel="prev">Newer</a>' in page and 'rel="next"' not in page
    for number in ("3", "0", "x", "1" * 50):
        status, page = browser.get(f"{path}?page={number}")
        assert status == 404 and "There is no such page of this list" in page


def test_jobs_are_shown_newest_first_and_by_scanner():
    browser = Browser(scanners=[scanner("a"), scanner("b")],
                      jobs=[job("x1", scanner="a"), job("x2", scanner="b"), job("x3", scanner="a")])
    for path, shown in (("/jobs", ["x3", "x2", "x1"]), ("/jobs?scanner=a", ["x3", "x1"]), ("/scanners/a", ["x3", "x1"]),
                        ("/", ["x3", "x2", "x1"]), ("/jobs?scanner=c", [])):
        assert re.findall(r">(x\d)<", browser.get(path)[1]) == shown


def test_exchanges_keep_their_page_while_others_arrive():
    browser = Browser(exchanges=[entry(job_id=f"x{number}") for number in range(ROWS + 10)])
    _, page = browser.get("/exchanges?scanner=front-desk")
    older = re.search(r'href="([^"]*)" rel="next"', page)[1].replace("&amp;", "&")
    assert older == "/exchanges?scanner=front-desk&before=11"
    before = re.findall(r">(x\d+)<", browser.get(older)[1])
    for _ in range(5):
        browser.overview.log.add(entry(job_id="new"))
    assert re.findall(r">(x\d+)<", browser.get(older)[1]) == before == [f"x{number}" for number in range(9, -1, -1)]
    assert browser.get("/exchanges?before=x")[0] == 404


def test_exchanges_are_filtered():
    browser = Browser(exchanges=[entry("CreateScanJob"), entry("GetJobElements", status=500, fault="InvalidArgs")])
    _, page = browser.get("/exchanges?failed=1")
    assert "invalid args" in page and 'data-column="Operation">CreateScanJob' not in page
    assert 'checked="checked"' in page
    _, page = browser.get("/exchanges?operation=CreateScanJob")
    assert '<option value="CreateScanJob" selected="selected">' in page and "invalid args" not in page


def test_a_scanner_has_a_page_with_all_that_is_known():
    browser = Browser(scanners=[scanner(friendly_name="Front desk", model="Example 1", announced=True, **JAM)])
    _, page = browser.get("/scanners/front-desk")
    said = text(page)
    for expected in ("State Paper jam since 10:32", "Conditions paper jam", "Reachable yes, since 08:00",
                     "Name Front desk", "Model Example 1", "Events sent by the scanner",
                     "Status reads 3 answered by the gateway, 1 by the scanner",
                     "Terminal wsdgateway scan http://192.0.2.5:5357/front-desk/scan -o page.pdf"):
        assert expected in said
    assert '<code id="line">"front-desk" = http://192.0.2.5:5357/front-desk/scan, WSD</code>' in page
    status, page = browser.get("/scanners/nothing")
    assert status == 404 and "There is no scanner with this name" in page


def test_hostile_values_are_shown_as_text_on_every_page():
    browser = Browser(
        name=HOSTILE, jobs=[job(HOSTILE, state=HOSTILE, reasons=[HOSTILE])], exchanges=[entry(HOSTILE, job_id=HOSTILE)],
        scanners=[scanner(friendly_name=HOSTILE, model=HOSTILE, firmware=HOSTILE, problem=HOSTILE, scan=HOSTILE,
                          uuid=HOSTILE, stand_in=HOSTILE, announced=True, subscription=HOSTILE)],
        subscriptions=[subscription(notify_to=HOSTILE, client=HOSTILE)])
    for path in ("/", "/scanners", "/scanners/front-desk", "/jobs", "/exchanges", "/exchanges/1", "/subscriptions",
                 "/exchanges?operation=%22%3E%3Cscript%3E", "/jobs?scanner=%22%3E%3Cscript%3E", "/%3Cscript%3E"):
        _, page = browser.get(path)
        assert page.count("<script") == 1 and '<script src="/static/live.js"' in page
        assert not re.search(r" (style|on\w+)=", page)


def test_names_do_not_change_the_direction_of_the_text_beside_them():
    arabic = "\N{ARABIC LETTER SEEN}\N{ARABIC LETTER KAF}"
    browser = Browser(scanners=[scanner("a", friendly_name=arabic, announced=True, escl_announced=[
        {"interface": "eth0", "name": arabic, "reason": None}, {"interface": "eth1", "name": None, "reason": arabic}],
        **{**JAM, "problem": arabic})],
        jobs=[job(arabic)], exchanges=[entry(job_id=arabic)], subscriptions=[subscription(destinations=[
            {"context": "1", "name": arabic}, {"context": "2", "name": arabic}])])
    isolated = f"<bdi>{arabic}</bdi>"
    for path, number in (("/", 6), ("/scanners", 1), ("/jobs", 1), ("/exchanges", 1), ("/exchanges/1", 1),
                         ("/subscriptions", 2), ("/scanners/a", 5)):
        page = browser.get(path)[1]
        found = page.count(arabic) - page.count(f'class="model quiet">{arabic}</bdi>')
        assert page.count(isolated) == found >= number, path


def test_the_address_for_escl_is_on_the_page_of_a_scanner():
    url = "http://192.0.2.5:8400/eSCL"
    browser = Browser(scanners=[scanner("a", escl_url=url), scanner("b")])
    assert f'<code id="escl">{url}</code>' in browser.get("/scanners/a")[1]
    assert f'<code id="escl-line">"a" = {url}/, eSCL</code>' in browser.get("/scanners/a")[1]
    assert "eSCL" not in browser.get("/scanners/b")[1]
    for path in ("/", "/scanners"):
        page = browser.get(path)[1]
        assert f'<code id="escl-a">{url}</code>' in page and "escl-b" not in page


def test_the_address_for_escl_over_tls_is_on_the_page_of_a_scanner():
    plain, secure = "http://192.0.2.5:8400/eSCL", "https://192.0.2.5:8401/eSCL"
    browser = Browser(scanners=[scanner("a", escl_url=plain, escl_tls_url=secure), scanner("b", escl_url=plain)])
    assert f'<code id="escl-tls">{secure}</code>' in browser.get("/scanners/a")[1]
    assert "escl-tls" not in browser.get("/scanners/b")[1]


def test_the_spool_is_on_the_overview_and_on_the_page_of_a_scanner():
    url = "http://192.0.2.5:8400/eSCL"
    browser = Browser(scanners=[scanner("a", escl_url=url), scanner("b", escl_url=url), scanner("c")],
                      spools=[spool(scanner="a"), spool(scanner="b", client="192.0.2.78")], room=Room(2 << 30))
    overview = text(browser.get("/")[1])
    assert "fetched yet: 0 bytes of 2.1 GB" in overview and "192.0.2.77" in overview and "192.0.2.78" in overview
    page = text(browser.get("/scanners/a")[1])
    assert "Jobs of eSCL clients" in page and "192.0.2.77" in page and "192.0.2.78" not in page
    assert "Jobs of eSCL clients" not in browser.get("/scanners/c")[1]
    browser = Browser(scanners=[scanner("a")], spools=[spool(scanner="a", client=None)])
    assert "Scans from the panel and of eSCL clients" in text(browser.get("/scanners/a")[1])
    assert "Spool" not in Browser(scanners=[scanner()]).get("/")[1]


@pytest.mark.parametrize(("source", "status", "words"), [
    ("local", 200, "(not kept: an image, or empty)"), ("local", None, "(no complete answer)"),
    ("own", None, "(no complete answer)"),
    ("discovery", None, "(none: an answer to a discovery message is an exchange of its own)")])
def test_an_exchange_without_a_kept_answer_says_why(source, status, words):
    browser = Browser()
    browser.overview.log.add(entry(source=source, status=status), b"<asked/>", b"")
    assert words in browser.get("/exchanges/1")[1]


def test_a_scanner_that_is_not_announced_says_when_it_would_be():
    said = part(Browser(scanners=[scanner(announced=False)]).get("/scanners/front-desk")[1], "add")
    assert ("does not announce it: the gateway announces scanners that it can reach, on the interfaces in [discovery] "
            "client_interfaces.") in said
