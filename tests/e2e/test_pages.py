"""Admin pages in headless Chromium: live updates, with and without scripts, on a phone, and by keyboard."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import program, skip_or_fail
from tests.e2e.site import post
from tests.messages import envelope, status_event
from tests.ports import free_port

SCAN = "http://schemas.microsoft.com/windows/2006/08/wdp/scan"
TOKEN = "0123456789abcdef-a-token"
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
    def start(more=""):
        scanner, gateway, admin = free_port(), free_port(), free_port()
        (tmp_path / "scanner.toml").write_text(
            f'[scanner]\nendpoint = "tcp:{scanner}:interface=127.0.0.1"\npage_seconds = 1.0\nfeeder_pages = 3\n')
        (tmp_path / "gateway.toml").write_text(
            f'[gateway]\nname = "Print <b>server</b>"\nstate = "memory:"\n'
            f'[[listen]]\nendpoint = "tcp:{gateway}:interface=127.0.0.1"\n'
            f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{scanner}/WDP/SCAN"\n'
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
    assert [text for text in complaints if "401" not in text and "ERR_CONNECTION" not in text] == []


def shot(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def test_a_running_job_is_shown_without_reloading(office, page, tmp_path):
    gateway, admin = office()
    seen = page(viewport={"width": 1280, "height": 900})
    seen.goto(admin + "/")
    seen.wait_for_function("document.getElementById('state').textContent === 'Live'")
    assert seen.title() == "Print <b>server</b> - wsdgateway"
    scanning = subprocess.Popen([program("wsdgateway"), "scan", f"http://127.0.0.1:{gateway}/front-desk/scan",
                                 "--source", "adf", "-o", "out.pdf"], cwd=tmp_path, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
    seen.wait_for_selector("#live-jobs td[data-label=State]:has-text('Processing')")
    shot(seen, "running")
    assert scanning.poll() is None
    seen.wait_for_selector("#live-jobs td[data-label=State]:has-text('Completed')")
    assert scanning.wait(60) == 0, scanning.communicate()
    states = seen.locator("#live-jobs .timeline li").all_inner_texts()
    assert [state.split()[0] for state in states] == ["Pending", "Started", "Processing", "Completed"]
    seen.wait_for_selector("#live-exchanges td[data-label=Operation]:has-text('JobEndStateEvent')")
    assert "answered by the gateway" in seen.locator(".card svg").get_attribute("aria-label")
    shot(seen, "finished")
    seen.select_option("#operation", "RetrieveImage")
    seen.get_by_role("button", name="Show").click()
    seen.wait_for_url("**/?scanner=&operation=RetrieveImage**")
    operations = seen.locator("#live-exchanges td[data-label=Operation]").all_inner_texts()
    assert operations and set(operations) == {"RetrieveImage"}
    seen.locator("#live-exchanges a").first.click()
    assert seen.locator("h1").inner_text() == "RetrieveImage"
    assert "<wscn:RetrieveImageRequest>" in seen.locator("pre").first.inner_text()
    shot(seen, "exchange")


def test_values_from_scanners_are_shown_as_text(office, page):
    gateway, admin = office()
    hostile = "&lt;script&gt;document.title='taken'&lt;/script&gt;"
    post(gateway, "/front-desk/scan", envelope(f"{SCAN}/GetJobElements", (
        f"<wscn:GetJobElementsRequest><wscn:JobId>{hostile}</wscn:JobId></wscn:GetJobElementsRequest>")))
    post(gateway, "/front-desk/scan", status_event(hostile, "&lt;img src=x onerror=alert(1)&gt;"))
    seen = page()
    seen.goto(admin + "/?operation=%22%3E%3Cscript%3Edocument.title%3D1%3C/script%3E")
    assert "taken" not in seen.title()
    seen.goto(admin + "/")
    seen.wait_for_selector("#live-exchanges td[data-label=Job]:has-text('<script>')")
    seen.locator("#live-exchanges a").first.click()
    assert seen.locator("pre").count() == 2
    assert seen.evaluate("document.scripts.length") == 1
    assert "taken" not in seen.title()


def test_the_page_is_readable_without_scripts(office, page):
    _, admin = office()
    seen = page(java_script_enabled=False)
    seen.goto(admin + "/")
    assert seen.locator("noscript").inner_text().startswith("Without JavaScript")
    assert seen.locator("#pause").is_hidden()
    assert seen.locator(".card h3").inner_text() == "front-desk"
    seen.locator("#live-exchanges a").first.click()
    assert seen.locator("h1").inner_text() == "Subscribe"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_off(office, page, scheme):
    _, admin = office()
    seen = page(viewport={"width": 360, "height": 740}, color_scheme=scheme, is_mobile=True)
    seen.goto(admin + "/")
    seen.wait_for_selector("#live-exchanges tbody tr")
    assert seen.evaluate("document.documentElement.scrollWidth") <= 360
    # Content that is wider than its box is cut off; tables remain tables for screen readers.
    assert seen.evaluate("[...document.querySelectorAll('td, dd, h1, h2, h3')]"
                         ".filter(e => e.scrollWidth > e.clientWidth + 1).length") == 0
    assert seen.locator("#live-exchanges [role=row]").count() >= 2
    shot(seen, f"phone-{scheme}")


def test_by_keyboard(office, page):
    _, admin = office()
    seen = page()
    seen.goto(admin + "/")
    seen.keyboard.press("Tab")
    assert seen.evaluate("document.activeElement.textContent") == "Skip to the content"
    seen.keyboard.press("Enter")
    assert seen.url.endswith("#main")
    reached = set()
    for _ in range(30):
        seen.keyboard.press("Tab")
        reached.add(seen.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert {"pause", "scanner", "operation", "failed", "Show"} <= reached
    seen.locator("#pause").focus()
    seen.keyboard.press("Enter")
    assert seen.locator("#pause").get_attribute("aria-pressed") == "true"
    assert seen.locator("#state").inner_text() == "Paused"


def test_a_login(office, page):
    _, admin = office(f'token = "{TOKEN}"\n')
    seen = page()
    seen.goto(admin + "/#jobs")
    assert seen.locator("h1").inner_text() == "Log in"
    seen.get_by_label("Token").fill("wrong")
    seen.get_by_role("button", name="Log in").click()
    assert seen.get_by_role("alert").inner_text() == "The token is wrong."
    shot(seen, "login")
    seen.get_by_label("Token").fill(TOKEN)
    seen.get_by_role("button", name="Log in").click()
    assert seen.locator("h1").inner_text() == "Overview"
    seen.wait_for_function("document.getElementById('state').textContent === 'Live'")
    seen.get_by_role("button", name="Log out").click()
    assert seen.locator("h1").inner_text() == "Log in"
