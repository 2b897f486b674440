"""Outages of the store, at the start or while the gateway runs: scanning continues, and the rest as far as possible.

The whole program runs in front of the virtual scanner, and is killed at critical moments.
"""

import http.client
import os
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing

import pytest

from tests.e2e.conftest import program, skip_or_fail
from tests.e2e.site import PANEL, PATH, Site, check_a_scan
from tests.e2e.site import post as ask
from tests.messages import create_scan_job, manage
from tests.storage.files import make_newer
from wsdgateway.scan.destinations import read_tokens
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of


def get(site, path, accept="*/*"):
    """Returns status and body; status 0 while the admin site is not open yet."""
    connection = http.client.HTTPConnection("127.0.0.1", site.admin, timeout=30)
    try:
        connection.request("GET", path, headers={"Accept": accept})
    except ConnectionRefusedError:
        return 0, ""
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def check(folder):
    """Returns the output of `wsdgateway check`."""
    done = subprocess.run([program("wsdgateway"), "check", "gateway.toml"], cwd=folder, capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def warned(site, folder, until, words):
    """Checks the warning in readiness, on the page, in `check` and in the log."""
    status, body = until(lambda: words in get(site, "/readyz")[1] and get(site, "/readyz"))
    assert status == 200 and body.startswith("ready\nwarning: ") and "works from memory" in body
    assert words in get(site, "/", "text/html")[1]
    assert words in check(folder)
    assert words in site.process.log.read_text()


def used_again(site, until):
    site.process.send_signal(signal.SIGHUP)  # makes it try the store at once instead of after the next pause
    until(lambda: get(site, "/readyz") == (200, "ready\n"), 40.0)


def listed(file, table):
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def alive(site, *identifiers):
    for identifier in identifiers:
        status, body = site.ask(manage("GetStatus", identifier))
        assert status == 200, fault_of(read(body))


def overwrite(file):
    file.write_bytes(b"nonsense" * 1000)


def overwrite_the_middle(file):
    data = bytearray(file.read_bytes())
    data[5000:9000] = b"\xff" * 4000
    file.write_bytes(data)


@pytest.mark.parametrize(("harm", "words"), [
    (overwrite, "the store is damaged"), (overwrite_the_middle, "the store is damaged"), (make_newer, "newer version")])
def test_an_unusable_store_at_the_start_is_used_after_its_repair(
        site, listener, until, tmp_path, harm, words):
    file, copy = tmp_path / "gateway.sqlite", tmp_path / "copy"
    response, panel = site.subscribe(listener.url + "/panel", **PANEL)
    token = dict(read_tokens(response.body))["ctx"]
    _, other = site.subscribe(listener.url + "/other")
    until(lambda: site.control()["subscriptions"] == 2)
    site.end(signal.SIGKILL)
    shutil.copy(file, copy)
    harm(file)
    before = file.read_bytes()
    site.start()
    warned(site, tmp_path, until, words)
    # the two former subscriptions are still at the scanner, unknown to the gateway
    until(lambda: site.control()["subscriptions"] == 3)
    _, late = site.subscribe(listener.url + "/late")
    assert "is kept in memory only" in site.process.log.read_text()
    assert site.ask(create_scan_job())[0] == 200
    assert file.read_bytes() == before
    os.replace(copy, file)
    used_again(site, until)
    until(lambda: site.control()["subscriptions"] == 2)  # one of the gateway's own, and the renewed one for the panel
    alive(site, panel, other, late)
    check_a_scan(site, listener, until, token)
    assert len(listed(file, "client_subscription")) == 3
    assert sorted(row[1] for row in listed(file, "device_subscription")) == ["", panel.removeprefix("urn:uuid:")]
    site.end(signal.SIGKILL)
    site.start()
    alive(site, panel, other, late)


def test_an_overwritten_store_is_not_written_until_it_is_moved_away(site, listener, until, tmp_path):
    file = tmp_path / "gateway.sqlite"
    _, first = site.subscribe(listener.url + "/first")
    overwrite(file)
    before = file.read_bytes()
    _, second = site.subscribe(listener.url + "/second")
    warned(site, tmp_path, until, "the store is damaged")
    assert file.read_bytes() == before
    file.rename(tmp_path / "damaged")
    used_again(site, until)
    assert site.control()["subscriptions"] == 1 and site.control()["asked"]["Subscribe"] == 1
    site.end(signal.SIGKILL)
    site.start()
    alive(site, first, second)


@pytest.fixture
def small(tmp_path):
    """A folder on a file system of 200 KB."""
    folder = tmp_path / "state"
    folder.mkdir()
    if os.geteuid() != 0:
        skip_or_fail("needs root, to mount a small file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True,
                             check=False)
    if mounted.returncode:
        skip_or_fail(f"can't mount a small file system: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder):
    """Uses up the folder's file system, to the last byte."""
    with (folder / "filler").open("ab", buffering=0) as filler:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError:
                pass


def test_a_full_state_folder_does_not_affect_clients(small, twistd, listener, until, tmp_path):
    site = Site(twistd, tmp_path, '[gateway]\nstate = "sqlite:state/gateway.sqlite"\n')
    until(lambda: site.control()["subscriptions"] == 1)
    response, panel = site.subscribe(listener.url + "/panel", **PANEL)
    token = dict(read_tokens(response.body))["ctx"]
    fill(small)
    granted = [site.subscribe(f"{listener.url}/{number}")[1] for number in range(200)]
    warned(site, tmp_path, until, "is full; free space")
    assert site.ask(manage("Renew", panel, expires="PT2H"))[0] == 200
    assert site.ask(manage("Unsubscribe", granted[0]))[0] == 200
    check_a_scan(site, listener, until, token)
    assert site.control()["asked"]["Subscribe"] == 2
    (small / "filler").unlink()
    until(lambda: get(site, "/readyz") == (200, "ready\n"), 40.0)  # without SIGHUP
    site.end(signal.SIGKILL)
    site.start()
    alive(site, panel, *granted[1:])
    assert site.ask(manage("GetStatus", granted[0]))[0] == 400
    # The disk is also full at the start: stored subscriptions can be renewed.
    fill(small)
    site.end(signal.SIGKILL)
    site.start()
    warned(site, tmp_path, until, "is full; free space")
    alive(site, panel, *granted[1:])
    _, late = site.subscribe(listener.url + "/late")
    check_a_scan(site, listener, until, token)
    until(lambda: site.control()["subscriptions"] == 2)
    assert site.control()["asked"]["Subscribe"] == 2, "the gateway must keep its subscriptions at the scanner"
    (small / "filler").unlink()
    used_again(site, until)
    site.end(signal.SIGTERM)
    site.start()
    alive(site, panel, late, *granted[1:])


def test_a_store_that_another_gateway_uses_is_an_error(site, tmp_path):
    (tmp_path / "other.toml").write_text(
        '[[listen]]\nendpoint = "tcp:0:interface=127.0.0.1"\n[admin]\nendpoint = "tcp:0:interface=127.0.0.1"\n')
    done = subprocess.run([program("twistd"), "-n", "--pidfile=", "wsdgateway", "--config", "other.toml"], cwd=tmp_path,
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "another gateway is using the store" in done.stderr and len(done.stderr.splitlines()) == 1
    assert ask(site.port, PATH, manage("GetStatus", "x"))[0] == 400
