"""Admin pages in headless Chromium: live updates, with and without scripts, on a phone, and by keyboard."""

import os
import re
import shutil
import subprocess
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import program, skip_or_fail
from tests.e2e.site import post
from tests.loopback.escl.client import settings
from tests.messages import envelope, status_event
from tests.ports import free_port

SCAN = "http://schemas.microsoft.com/windows/2006/08/wdp/scan"
TOKEN = "0123456789abcdef-a-token"
# Texts whose contrast with their background is below 4.5 to 1 (WCAG 2.2, relative luminance).
CONTRAST = """() => {
  const channel = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => { const [r, g, b] = parts(color).map((one) => channel(one / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (one) => { for (; one; one = one.parentElement) { const color = getComputedStyle(one).backgroundColor;
    if (!(parts(color)[3] === 0)) return color; } return "rgb(255, 255, 255)"; };
  return [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility() &&
    [...one.childNodes].some((text) => text.nodeType === 3 && text.textContent.trim())).map((one) => {
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), one.outerHTML]; }).filter(([contrast]) => contrast < 4.5);
}"""
expect.set_options(timeout=20_000)  # milliseconds
# Folder for screenshots; without it none are taken.
SHOTS = os.environ.get("WSDGATEWAY_SCREENSHOTS")


@pytest.fixture(scope="module")
def chromium():
    """Debian's Chromium, driven by Playwright."""
    path = shutil.which("chromium")
    if path is None:
        skip_or_fail("needs Chromium: apt install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def office(twistd, tmp_path):
    """Starts a slow virtual scanner and its gateway; returns the gateway's port and the site's URL."""
    def start(more="", name="front-desk"):
        scanner, gateway, admin = free_port(), free_port(), free_port()
        (tmp_path / "scanner.toml").write_text(
            f'[scanner]\nendpoint = "tcp:{scanner}:interface=127.0.0.1"\npage_seconds = 1.0\nfeeder_pages = 3\n')
        (tmp_path / "gateway.toml").write_text(
            f'[gateway]\nname = "Print <b>server</b>"\nstate = "memory:"\n'
            f'[[listen]]\nendpoint = "tcp:{gateway}:interface=127.0.0.1"\n'
            f'[[scanner]]\nname = "{name}"\nscan = "http://127.0.0.1:{scanner}/WDP/SCAN"\n'
            f'[admin]\nendpoint = "tcp:{admin}:interface=127.0.0.1"\n{more}')
        twistd(scanner, "wsdscanner", "--config", "scanner.toml")
        twistd(gateway, "wsdgateway", "--config", "gateway.toml", admin=admin)
        return gateway, f"http://127.0.0.1:{admin}"
    return start


@pytest.fixture
def page(chromium):
    """Opens pages; errors in the browser's console fail the test."""
    contexts, complaints = [], []

    def open_page(**settings):
        context = chromium.new_context(**settings)
        context.set_default_timeout(20_000)
        contexts.append(context)
        made = context.new_page()
        made.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        made.on("pageerror", lambda error: complaints.append(str(error)))
        return made

    yield open_page
    for context in contexts:
        context.close()
    expected = ("401", "404", "405", "ERR_CONNECTION")  # of the pages that a test opens
    assert [text for text in complaints if not any(one in text for one in expected)] == []


def wait_for(page, selector):
    """Waits for an element; `wait_for_function` polls with `eval`, which the site's Content-Security-Policy refuses."""
    page.wait_for_selector(selector, state="attached")


def wait_for_heading(page, text):
    """Waits for the page that a click leads to: the click may return before the browser has left the old page."""
    expect(page.locator("h1")).to_have_text(text)


def shot(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def cut_off(page):
    """The elements whose content is wider than their box."""
    return page.evaluate("[...document.querySelectorAll('td, dd, li, h1, h2, h3, p, code, [data-live]')]"
                         ".filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline')"
                         ".map(e => e.outerHTML)")


def test_a_running_job_is_shown_without_reloading(office, page, tmp_path):
    gateway, admin = office()
    seen = page(viewport={"width": 1280, "height": 900})
    seen.goto(admin + "/")
    wait_for(seen, "#state:text-is('Live')")
    assert seen.title() == "Overview - Print <b>server</b> - wsdgateway"
    scanning = subprocess.Popen([program("wsdgateway"), "scan", f"http://127.0.0.1:{gateway}/front-desk/scan",
                                 "--source", "adf", "-o", "out.pdf"], cwd=tmp_path, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
    seen.wait_for_selector("#live-jobs td[data-column=State]:has-text('Processing')")
    expect(seen.locator(".tile:has-text('Active jobs') strong")).to_have_text("1")
    shot(seen, "running")
    assert scanning.poll() is None
    seen.wait_for_selector("#live-jobs td[data-column=State]:has-text('Completed')")
    assert scanning.wait(60) == 0, scanning.communicate()
    seen.wait_for_selector("#live-exchanges td[data-column=Operation]:has-text('JobEndStateEvent')")
    expect(seen.locator("#live-hour svg")).to_have_attribute("aria-label", re.compile("were answered by the gateway"))
    shot(seen, "finished")
    seen.get_by_role("link", name="All jobs").click()
    wait_for_heading(seen, "Jobs")
    states = seen.locator("#live-list .timeline li").all_inner_texts()
    assert [state.split()[0] for state in states] == ["Pending", "Started", "Processing", "Completed"]
    shot(seen, "jobs")
    seen.get_by_role("navigation", name="Sections").get_by_role("link", name="Exchanges").click()
    wait_for_heading(seen, "Exchanges")
    seen.select_option("#operation", "RetrieveImage")
    seen.get_by_role("button", name="Show").click()
    seen.wait_for_url("**/exchanges?scanner=&operation=RetrieveImage**")
    operations = seen.locator("#live-list td[data-column=Operation]").all_inner_texts()
    assert operations and set(operations) == {"RetrieveImage"}
    seen.locator("#live-list a").first.click()
    wait_for_heading(seen, "RetrieveImage")
    assert "<wscn:RetrieveImageRequest>" in seen.locator("pre").first.inner_text()
    shot(seen, "exchange")


def test_values_from_scanners_are_shown_as_text(office, page):
    gateway, admin = office()
    hostile = "&lt;script&gt;document.title='taken'&lt;/script&gt;"
    post(gateway, "/front-desk/scan", envelope(f"{SCAN}/GetJobElements", (
        f"<wscn:GetJobElementsRequest><wscn:JobId>{hostile}</wscn:JobId></wscn:GetJobElementsRequest>")))
    post(gateway, "/front-desk/scan", status_event(hostile, "&lt;img src=x onerror=alert(1)&gt;"))
    seen = page()
    seen.goto(admin + "/exchanges?operation=%22%3E%3Cscript%3Edocument.title%3D1%3C/script%3E")
    assert "taken" not in seen.title()
    seen.goto(admin + "/")
    seen.wait_for_selector("#live-exchanges td[data-column=Job]:has-text('<script>')")
    seen.locator("#live-exchanges td a").first.click()
    expect(seen.locator("pre")).to_have_count(2)
    assert seen.evaluate("document.scripts.length") == 1
    assert "taken" not in seen.title()


def test_the_page_is_readable_without_scripts(office, page):
    _, admin = office()
    seen = page(java_script_enabled=False)
    seen.goto(admin + "/")
    assert seen.locator("noscript").inner_text() == (
        "Without JavaScript this page does not update itself, and times are in UTC.")
    assert seen.locator("#pause").is_hidden() and seen.locator("button.copy").first.is_hidden()
    assert seen.locator(".scanners a").inner_text() == "front-desk"
    assert seen.locator("#live-exchanges th").first.inner_text() == "Time, UTC"
    seen.get_by_text("Lines for sane-airscan").first.click()  # folded without a script
    assert seen.locator("pre #airscan").inner_text().startswith('[devices]\n"front-desk" = http://127.0.0.1:')
    seen.locator("#live-exchanges td a").first.click()
    wait_for_heading(seen, "Subscribe")


def test_times_are_local_and_utc_on_hover(office, page):
    _, admin = office()
    here, there = page(timezone_id="Asia/Kolkata"), page(java_script_enabled=False)
    for seen in (here, there):
        seen.goto(admin + "/exchanges")
    local = here.locator("#live-list time").last
    utc = there.locator("#live-list time").last
    moment = datetime.fromisoformat(utc.get_attribute("datetime"))
    assert local.get_attribute("title") == utc.get_attribute("title") == f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    assert utc.inner_text().endswith(f"{moment:%H:%M:%S}")
    assert local.inner_text().endswith(f"{moment + timedelta(hours=5.5):%H:%M:%S}")
    assert here.locator("#live-list th").first.inner_text() == "Time"


def test_an_address_is_copied(office, page):
    gateway, admin = office()
    seen = page(permissions=["clipboard-read", "clipboard-write"])
    seen.goto(admin + "/")
    wait_for(seen, "#state:text-is('Live')")
    url = f"http://127.0.0.1:{gateway}/front-desk/scan"
    seen.get_by_role("button", name="Copy the address of front-desk").click()
    wait_for(seen, "#said:text-is('Copied')")
    assert seen.evaluate("navigator.clipboard.readText()") == url
    assert seen.evaluate("document.activeElement === document.body")  # so that the list continues to be updated
    seen.goto(admin + "/scanners/front-desk")
    seen.get_by_role("button", name="Copy the line for sane-airscan").focus()
    seen.keyboard.press("Enter")
    wait_for(seen, "#said:text-is('Copied')")
    assert seen.evaluate("navigator.clipboard.readText()") == f'"front-desk" = {url}, WSD'
    assert seen.evaluate("document.activeElement.textContent") == "Copy"


def test_an_address_is_copied_without_the_clipboard_interface(office, page):
    """Over HTTP from another host, browsers have no navigator.clipboard."""
    gateway, admin = office()
    seen = page(permissions=["clipboard-read", "clipboard-write"])
    seen.add_init_script("const real = navigator.clipboard; window.pasted = () => real.readText();"
                         "Object.defineProperty(navigator, 'clipboard', { value: undefined });")
    seen.goto(admin + "/scanners/front-desk")
    seen.get_by_role("button", name="Copy the address").click()
    wait_for(seen, "#said:text-is('Copied')")
    assert seen.evaluate("pasted()") == f"http://127.0.0.1:{gateway}/front-desk/scan"
    assert seen.evaluate("getSelection().isCollapsed")


def test_folded_parts_stay_open_while_the_page_updates(office, page):
    gateway, admin = office()
    seen = page()
    seen.goto(admin + "/")
    wait_for(seen, "#state:text-is('Live')")
    seen.get_by_text("Lines for sane-airscan").first.click()
    seen.evaluate("document.activeElement.blur(); document.getElementById('airscan-lines').dataset.old = ''")
    post(gateway, "/front-desk/scan", b"no SOAP")
    seen.wait_for_selector("#live-exchanges td[data-column=Result]:has-text('invalid args')")
    wait_for(seen, "#airscan-lines:not([data-old])")  # it was replaced
    assert seen.locator("#airscan-lines").get_attribute("open") is not None


def with_escl():
    """The section that offers the scanner by eSCL, on a port of its own."""
    port = free_port()
    return f'[escl]\nports = "{port}-{port}"\ninterface = "127.0.0.1"\nannounce = false\n'


def scan_by_escl(gateway, until):
    """Creates a job whose pages wait for the client."""
    root = f"http://127.0.0.1:{gateway}/front-desk/eSCL"

    def created():
        with suppress(HTTPError), urlopen(Request(f"{root}/ScanJobs", settings("Feeder")), timeout=30) as answer:
            return answer.status == 201

    until(created)  # 503 until the scanner's capabilities are known


def test_nothing_is_cut_off_at_any_width(office, page, until):
    gateway, admin = office(with_escl())
    scan_by_escl(gateway, until)
    for _ in range(60):
        post(gateway, "/front-desk/scan", b"no SOAP")
    for width, scheme in ((320, "light"), (390, "dark"), (390, "light"), (800, "light"), (1024, "dark"),
                          (1280, "light"), (1280, "dark")):
        seen = page(viewport={"width": width, "height": 740}, color_scheme=scheme, is_mobile=width < 700)
        for path in ("/", "/scanners", "/scanners/front-desk", "/jobs", "/exchanges", "/exchanges/60", "/subscriptions",
                     "/nothing"):
            seen.goto(admin + path)
            assert seen.evaluate("document.documentElement.scrollWidth") <= width
            assert cut_off(seen) == []
            shot(seen, f"{path.strip('/').replace('/', '-') or 'overview'}-{scheme}-{width}")
        seen.goto(admin + "/")
        wait_for(seen, "#state:text-is('Live')")
        assert seen.locator("#live-spool td").nth(1).text_content() in ("scanning", "waiting for the client")
        assert seen.locator("#live-exchanges [role=row]").count() == 9  # tables remain tables for screen readers
        assert seen.evaluate("document.documentElement.scrollHeight") < 2400


LINES = "e => { const text = document.createRange(); text.selectNodeContents(e); return text.getClientRects().length }"


def test_long_names_are_broken_into_lines(office, page, until, tmp_path):
    name = "a-name-of-63-characters-as-long-as-any-name-of-a-scanner-may-be"
    (tmp_path / "scans").mkdir()
    gateway, admin = office(f'[[destination]]\nname = "{"Accounting, " * 5}page"\nfolder = "scans"\n', name)
    until(lambda: b"ScanAvailable" in urlopen(f"{admin}/subscriptions", timeout=30).read())
    post(gateway, f"/{name}/scan", b"no SOAP")
    for width in (390, 1000, 1160, 1280):
        seen = page(viewport={"width": width, "height": 740})
        for path in ("/", f"/scanners/{name}", "/subscriptions", "/exchanges"):
            seen.goto(admin + path)
            assert cut_off(seen) == []
            shot(seen, f"long-{path.strip('/').partition('/')[0] or 'overview'}-{width}")
        seen.goto(admin + "/subscriptions")
        assert seen.locator("td:text-is('ScanAvailable')").evaluate(LINES) == 1


def test_texts_have_contrast(office, page, until):
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    gateway, admin = office(with_escl())
    scan_by_escl(gateway, until)
    post(gateway, "/front-desk/scan", b"no SOAP")
    for scheme in ("light", "dark"):
        seen = page(color_scheme=scheme)
        for path in ("/", "/scanners/front-desk", "/jobs", "/exchanges"):
            seen.goto(admin + path)
            assert seen.evaluate(CONTRAST) == []
    seen.goto("about:blank")  # a page without a policy, on which the check finds a text
    seen.set_content('<body style="background: #fff"><p style="color: #999">too pale</p>')
    assert [text for _, text in seen.evaluate(CONTRAST)] == ['<p style="color: #999">too pale</p>']


def test_a_browser_at_a_clients_address_gets_a_guide(office, page):
    gateway, admin = office()
    seen = page(viewport={"width": 390, "height": 740})
    for path in ("/", "/front-desk", "/front-desk/scan"):
        answer = seen.goto(f"http://127.0.0.1:{gateway}{path}")
        assert answer.status == 405 and answer.header_value("allow") == "POST"
        line = f'"front-desk" = http://127.0.0.1:{gateway}/front-desk/scan, WSD'
        assert seen.locator("pre").first.inner_text().splitlines() == ["[devices]", line]
        assert seen.evaluate("getComputedStyle(document.querySelector('pre')).borderTopWidth") == "1px"  # styled
        assert seen.evaluate("document.documentElement.scrollWidth") <= 390 and seen.locator("script").count() == 0
        shot(seen, f"guide{path.replace('/', '-')}")
    seen.get_by_role("link", name="admin site").click()
    wait_for_heading(seen, "Overview")
    assert seen.url == admin + "/"


def test_by_keyboard(office, page):
    _, admin = office()
    seen = page()
    seen.goto(admin + "/")
    seen.keyboard.press("Tab")
    assert seen.evaluate("document.activeElement.textContent") == "Skip to the content"
    seen.keyboard.press("Enter")
    seen.wait_for_url("**/#main")
    reached = []
    while "All exchanges" not in reached:
        seen.keyboard.press("Tab")
        assert seen.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        reached.append(seen.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        assert len(reached) < 40
    order = ["pause", "front-desk", "Copy", "Lines for sane-airscan", "All exchanges"]
    assert [name for name in reached if name in order] == order
    seen.goto(admin + "/exchanges")
    reached = []
    while "Show" not in reached:
        seen.keyboard.press("Tab")
        reached.append(seen.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        assert len(reached) < 20
    assert reached[-4:] == ["scanner", "operation", "failed", "Show"]
    seen.locator("#pause").focus()
    seen.keyboard.press("Enter")
    expect(seen.locator("#pause")).to_have_attribute("aria-pressed", "true")
    expect(seen.locator("#state")).to_have_text("Paused")


def test_a_login(office, page):
    _, admin = office(f'token = "{TOKEN}"\n')
    seen = page()
    seen.goto(admin + "/jobs")
    wait_for_heading(seen, "Log in")
    seen.get_by_label("Token").fill("wrong")
    seen.get_by_role("button", name="Log in").click()
    expect(seen.get_by_role("alert")).to_have_text("The token is wrong.")
    shot(seen, "login")
    seen.get_by_label("Token").fill(TOKEN)
    seen.get_by_role("button", name="Log in").click()
    wait_for_heading(seen, "Jobs")
    wait_for(seen, "#state:text-is('Live')")
    seen.get_by_role("button", name="Log out").click()
    wait_for_heading(seen, "Log in")
