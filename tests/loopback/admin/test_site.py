"""Admin site: access control and pages."""

import json

import pytest
import pytest_twisted
from twisted.internet.defer import succeed
from twisted.internet.threads import deferToThread

from tests.loopback.clients import request
from tests.loopback.gateways import LOOPBACK, PATH, TOKEN, with_token
from tests.messages import get_job_elements
from tests.peers import ask, connect
from tests.waiting import until
from wsdgateway.admin.overview import Overview
from wsdgateway.bridge.health.health import Health, Problem
from wsdgateway.cli.adminclient import TOKEN_VARIABLE, AdminError, AdminSite
from wsdgateway.storage.store import FinishedJob


@pytest_twisted.ensureDeferred
async def test_requests_for_an_unknown_host_are_refused(gateway):
    service = await gateway(None, admin={"endpoint": LOOPBACK, "hosts": ["print-server-1"]})
    for path in (b"/", b"/api/jobs", b"/healthz", b"/static/live.js", b"/nothing"):
        status, _, body = await request(service.admin_port, path, host=b"evil.example:8357")
        assert status == 421 and b"hosts" in body
    for host in (b"localhost", b"print-server-1:8357", b"127.0.0.1", b"[::1]:1"):
        assert (await request(service.admin_port, b"/readyz", host=host))[0] == 200


@pytest_twisted.ensureDeferred
async def test_with_a_token_every_address_but_health_requires_it(gateway):
    service = await gateway(None, **with_token())
    assert (await request(service.admin_port, b"/healthz"))[0] == 200
    for path in (b"/", b"/metrics", b"/api/scanners", b"/api/stream", b"/exchanges/1", b"/nothing", b"/logout"):
        status, head, _ = await request(service.admin_port, path)
        assert status == 401 and b"WWW-Authenticate: Bearer" in head
        status, _, _ = await request(service.admin_port, path, headers=b"Authorization: Bearer wrong\r\n")
        assert status == 401
    status, _, body = await request(
        service.admin_port, b"/api/scanners", headers=b"Authorization: Bearer %s\r\n" % TOKEN.encode())
    assert (status, json.loads(body)) == (200, [])


@pytest_twisted.ensureDeferred
async def test_without_the_token_readiness_is_told_but_not_the_reasons(gateway, monkeypatch):
    service = await gateway(None, **with_token())
    right = b"Authorization: Bearer %s\r\n" % TOKEN.encode()
    assert (await request(service.admin_port, b"/readyz"))[::2] == (200, b"ready\n")
    assert (await request(service.admin_port, b"/readyz", headers=b"Authorization: Bearer wrong\r\n"))[0] == 401
    assert (await request(service.admin_port, b"/readyz", headers=b"Accept: text/html\r\n"))[0] == 303
    monkeypatch.setattr(Overview, "problems", lambda self: ["cannot listen at tcp:5357"])
    assert (await request(service.admin_port, b"/readyz"))[::2] == (503, b"not ready\n")
    assert (await request(service.admin_port, b"/readyz", headers=right))[::2] == (503, b"cannot listen at tcp:5357\n")


@pytest_twisted.ensureDeferred
async def test_a_browser_logs_in_and_out(gateway):
    service = await gateway(None, **with_token())
    html = b"Accept: text/html\r\n"
    status, head, _ = await request(service.admin_port, b"/exchanges/3?x=1", headers=html)
    assert status == 303 and b"Location: /login?then=/exchanges/3%3Fx%3D1\r\n" in head
    status, _, form = await request(service.admin_port, b"/login?then=/exchanges/3%3Fx%3D1", headers=html)
    assert status == 200 and b'value="/exchanges/3?x=1"' in form
    typed = b"Content-Type: application/x-www-form-urlencoded\r\n"
    status, head, form = await request(
        service.admin_port, b"/login", method=b"POST", headers=typed, body=b"token=wrong")
    assert status == 401 and b"token is wrong" in form and b"Set-Cookie" not in head
    status, head, _ = await request(service.admin_port, b"/login", method=b"POST", headers=typed,
                                    body=b"token=%s&then=/api/jobs" % TOKEN.encode())
    assert status == 303 and b"Location: /api/jobs" in head
    cookie = next(line for line in head.split(b"\r\n") if line.startswith(b"Set-Cookie: "))[12:]
    assert cookie.endswith(b"; Path=/; HttpOnly; SameSite=Strict")
    session = b"Cookie: " + cookie.partition(b";")[0] + b"\r\n"
    status, _, page = await request(service.admin_port, b"/", headers=html + session)
    assert status == 200 and b"Log out" in page
    status, head, _ = await request(service.admin_port, b"/logout", method=b"POST", headers=session)
    assert status == 303 and b"Max-Age=0" in head
    assert (await request(service.admin_port, b"/", headers=session))[0] == 401


@pytest.mark.parametrize("then", [b"//evil.example", b"https://evil.example", b"/\\evil.example", b"evil", b"",
                                  b"/%0d%0aSet-Cookie:a=b"])
@pytest_twisted.ensureDeferred
async def test_a_login_redirects_only_to_this_site(gateway, then):
    service = await gateway(None, **with_token())
    _, head, _ = await request(
        service.admin_port, b"/login", method=b"POST", body=b"token=%s&then=%s" % (TOKEN.encode(), then),
        headers=b"Content-Type: application/x-www-form-urlencoded\r\n")
    assert b"Location: /\r\n" in head and head.count(b"Set-Cookie") == 1


@pytest_twisted.ensureDeferred
async def test_a_large_form_is_not_read(gateway):
    service = await gateway(None, **with_token())
    client = await connect(service.admin_port)
    client.send(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000)
    assert b"200 OK" not in await client.end()


@pytest_twisted.ensureDeferred
async def test_other_methods_are_refused(gateway_with_job):
    service = await gateway_with_job()
    for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS"):
        for path in (b"/", b"/api/jobs", b"/api/stream", b"/static/live.js"):
            assert (await request(service.admin_port, path, method=method))[0] == 405
    status, _, body = await request(service.admin_port, b"/", method=b"HEAD")
    assert status == 200 and body == b""


@pytest_twisted.ensureDeferred
async def test_pages_escape_values_and_have_no_inline_scripts(gateway_with_job):
    service = await gateway_with_job()
    html = b"Accept: text/html\r\n"
    for path in (b"/", b"/exchanges?scanner=%3Cscript%3E&operation=%22%3E%3Cscript%3E&failed=1", b"/jobs", b"/scanners",
                 b"/jobs?scanner=%22%3E%3Cscript%3E", b"/subscriptions", b"/scanners/front-desk",
                 b"/exchanges/%d" % service.recording.log.last, b"/nothing/%3Cscript%3E"):
        status, head, page = await request(service.admin_port, path, headers=html)
        assert status == (404 if b"nothing" in path else 200)
        assert b"script-src 'self'; style-src 'self'" in head and b"unsafe" not in head
        assert page.count(b"<script") == 1 and b'<script src="/static/live.js"' in page
        assert b"<style" not in page and b" style=" not in page and b" onclick" not in page
        assert page.count(b"<table") == page.count(b"</table>")
    _, _, page = await request(service.admin_port, b"/")
    assert b"&lt;script&gt;7" in page and b"1 answered by the gateway" in page
    _, _, page = await request(service.admin_port, b"/jobs")
    assert b"&lt;script&gt;7" in page and b"Pending" in page and b"<ol class=\"timeline\">" in page


@pytest_twisted.ensureDeferred
async def test_exchanges_are_filtered_and_shown(gateway_with_job):
    service = await gateway_with_job()
    _, _, body = await request(service.admin_port, b"/api/exchanges?operation=JobStatusEvent")
    assert [one["operation"] for one in json.loads(body)] == ["JobStatusEvent"] * 2
    await ask(service.port, PATH, b"no xml")
    _, _, body = await request(service.admin_port, b"/api/exchanges?failed=1&scanner=front-desk")
    failed, = json.loads(body)
    assert failed["fault"] == "InvalidArgs"
    status, _, page = await request(service.admin_port, b"/exchanges/%d" % failed["number"])
    assert status == 200 and b"no xml" in page and b"wscn:InvalidArgs" in page and b"&lt;soap:Envelope" in page
    for number in (b"0", b"99999", b"x", b"1" * 40, b"-1"):
        assert (await request(service.admin_port, b"/exchanges/" + number))[0] == 404


@pytest_twisted.ensureDeferred
async def test_a_scanners_model_and_name_are_shown(virtual, gateway):
    hostile = "<script>alert('Copy Room')</script>"
    scanner = await virtual(name=hostile)
    service = await gateway(None, scanner={"device": scanner.device_url})
    await until(lambda: service.scanner.bridge.table.listening)
    _, _, body = await request(service.admin_port, b"/api/scanners")
    described, = json.loads(body)
    assert (described["model"], described["firmware"]) == ("wsdgateway Virtual scanner", "1.0")
    assert described["status_reads"] == {"here": 0, "there": 0}
    assert described["friendly_name"] == hostile
    _, _, page = await request(service.admin_port, b"/")
    assert b"&lt;script&gt;alert('Copy Room')&lt;/script&gt;" in page and page.count(b"<script") == 1


@pytest_twisted.ensureDeferred
async def test_the_command_line_reads_the_token_from_the_environment(gateway, monkeypatch):
    service = await gateway(None, **with_token())
    base = f"http://127.0.0.1:{service.admin_port}"
    with pytest.raises(AdminError, match=TOKEN_VARIABLE):
        await deferToThread(AdminSite.at(base).fetch, "scanners")
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert await deferToThread(AdminSite.at(base).fetch, "scanners") == []


@pytest_twisted.ensureDeferred
async def test_the_health_of_a_scanner_is_shown(gateway_with_job, monkeypatch):
    service = await gateway_with_job()
    jam = Health(True, 1790769600.0, "Stopped", ("MediaJam",), Problem("paper jam", 1790769600.0))
    monkeypatch.setattr(type(service.scanner), "health", property(lambda scanner: jam))
    _, _, page = await request(service.admin_port, b"/")
    assert b'<span class="status problem"><bdi>Paper jam</bdi></span>' in page
    assert b'datetime="2026-09-30T12:00:00Z"' in page
    assert b"http://127.0.0.1:%d/front-desk/scan</code>" % service.port in page


@pytest_twisted.ensureDeferred
async def test_the_latest_jobs_are_read_from_the_store_only_if_they_are_of_an_earlier_start(gateway_with_job):
    service = await gateway_with_job()
    read = []
    earlier = FinishedJob("front-desk", "6", "Completed", (), 1, None, None, service.wall() - 3600)

    def stored(name, most):
        read.append((name, most))
        return succeed([earlier])

    overview = Overview("x", service.scanners, [], service.metrics, service.recording.log, stored, service.wall,
                        service.clock)
    assert [job["job_id"] for job in await overview.describe_jobs(most=1)] == ["<script>7"] and read == []
    assert [job["job_id"] for job in await overview.describe_jobs(most=2)] == ["6", "<script>7"]
    assert read == [("front-desk", 2 + 1)]  # the job of this start may be among them
    assert await overview.describe_jobs(most=2) == await overview.describe_jobs()
    assert await overview.describe_jobs(scanner="vault", most=1) == []


@pytest_twisted.ensureDeferred
async def test_the_last_hour_is_shown(gateway_with_job):
    service = await gateway_with_job()
    service.clock.advance(1.0)
    await ask(service.port, PATH, get_job_elements("&lt;script&gt;7"))
    _, _, page = await request(service.admin_port, b"/scanners/front-desk")
    assert b"2 answered by the gateway</span>" in page and b"At most 2 in a minute." in page


@pytest_twisted.ensureDeferred
async def test_a_browser_at_a_clients_address_gets_a_page_that_names_the_admin_site(gateway):
    service = await gateway("http://127.0.0.1:9/scan")
    for path in (b"/", b"/front-desk", PATH.encode()):
        status, head, page = await request(service.port, path, headers=b"Accept: text/html\r\n")
        assert status == 405 and b"\r\nAllow: POST\r\n" in head and b"\r\nContent-Type: text/html" in head
        assert b"http://127.0.0.1:%d/front-desk/scan, WSD" % service.port in page
        assert b'<a href="http://127.0.0.1:%d/">' % service.admin_port in page
        status, head, text = await request(service.port, path)
        assert status == 405 and text == b"SOAP requests must use POST.\n"


@pytest.mark.parametrize("endpoint", ["tcp:0", "tcp:0:interface=0.0.0.0", LOOPBACK])
@pytest_twisted.ensureDeferred
async def test_the_page_names_an_address_of_the_admin_site_on_this_host(gateway, endpoint):
    service = await gateway(None, admin={"endpoint": endpoint, "token": TOKEN})
    _, _, page = await request(service.port, b"/", headers=b"Accept: text/html\r\n")
    assert b'<a href="http://127.0.0.1:%d/">' % service.admin_port in page
    assert b"No scanner is available at this address" in page
