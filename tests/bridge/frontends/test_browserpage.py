"""Tests of bridge.frontends.browserpage: which Accept asks for the page, and its contents."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from wsdgateway.bridge.frontends.browserpage import MAX_LISTED, Guide, wants_html, write_guide
from wsdgateway.http.messages import first

BASE = "http://192.0.2.5:5357"
HOSTILE = "\"><script>alert(1)</script>"


@pytest.mark.parametrize(("accept", "wanted"), [
    (b"text/html", True), (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
    (b"image/png, TEXT/HTML ;Q=0.5", True), (b"text/html;level=1", True), (b"text/html;q=0.001", True),
    (b"text/html;q=1", True), (b"text/html; q=0", False), (b"text/html;q=0.000, */*", False), (b"*/*", False),
    (b"text/*", False), (b"", False), (b"application/soap+xml", False), (b"text/html2", False),
    (b"application/xhtml+xml", False), (b"text/plain;x=text/html", False), (b"text/html;q=", False),
    (b",,;;=,text/html", True)])
def test_only_an_accept_that_names_html_asks_for_the_page(accept, wanted):
    assert wants_html([(b"Host", b"x"), (b"Accept", accept)]) is wanted


def test_several_fields_count_like_one():
    assert wants_html([(b"accept", b"*/*"), (b"ACCEPT", b"text/html")])
    assert not wants_html([(b"Accept-Language", b"text/html")])
    assert not wants_html([])


def test_the_page_says_what_this_is_and_how_to_add_the_scanner():
    answer = write_guide(Guide(BASE, ["front-desk"], "Scanner front-desk"))
    page = answer.body.decode()
    assert answer.status == 405 and first(answer.headers, b"allow") == b"POST"
    assert first(answer.headers, b"content-type") == b"text/html; charset=utf-8"
    assert "<h1>Scanner front-desk</h1>" in page and "a gateway for WSD scanners" in page
    assert f"[devices]\n&quot;front-desk&quot; = {BASE}/front-desk/scan, WSD</pre>" in page
    assert f"wsdgateway scan {BASE}/front-desk/scan -o page.pdf" in page and "Windows" in page
    assert "share/doc/wsdgateway/docs" in page and "<a " not in page


def test_the_page_links_the_manual_and_the_admin_site_if_there_are_any():
    page = write_guide(Guide(BASE, ["a"], "x", "http://127.0.0.1:8357/", "https://docs.example.org/")).body.decode()
    assert re.findall(r'<a href="([^"]*)">', page) == ["https://docs.example.org/", "http://127.0.0.1:8357/"]


def test_many_scanners_are_bounded_and_none_are_said():
    page = write_guide(Guide(BASE, [f"s-{number}" for number in range(MAX_LISTED + 7)], "x")).body.decode()
    assert page.count(", WSD") == MAX_LISTED and "# and 7 more" in page
    page = write_guide(Guide(BASE, [], "x")).body.decode()
    assert "No scanner is available at this address" in page and "[devices]" not in page


def test_the_page_has_no_script_and_its_policy_allows_only_its_own_style():
    answer = write_guide(Guide(BASE, ["a"], "x"))
    policy = first(answer.headers, b"content-security-policy").decode()
    style = re.search(r"<style>(.*?)</style>", answer.body.decode(), re.DOTALL)[1]
    assert f"style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ") and "script-src" not in policy
    assert b"<script" not in answer.body and b" style=" not in answer.body


def test_values_are_escaped():
    page = write_guide(Guide(f"http://{HOSTILE}", [HOSTILE], HOSTILE, HOSTILE, HOSTILE)).body.decode()
    assert "<script" not in page and page.count("&lt;script&gt;") >= 6 and 'href="&quot;&gt;' in page
