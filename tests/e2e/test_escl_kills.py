"""The gateway is killed at each moment of an eSCL job: nothing stays in the spool, and the scanner is free again.

Three moments are enough for each change; WSDGATEWAY_EXPLORE=1 takes all.
"""

import json
import os
import socket
import threading
import time
from urllib.request import Request, urlopen

import pytest

from tests.loopback.escl.client import settings
from tests.ports import free_port

PAGES = 200  # more than are scanned before the gateway is killed
SIZE = (2550, 3300)
FINAL = ("Completed", "Canceled", "Aborted")


class Job:
    """A job of a client of a gateway that will be killed."""

    def __init__(self, scanner, escl, folder, until):
        self.scanner, self.escl, self.folder, self.until = scanner, escl, folder, until
        self.location = None

    def control(self, action="", method="GET"):
        request = Request(f"http://127.0.0.1:{self.scanner}/control/{action}", method=method)
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def spooled(self):
        return list((self.folder / "spool").glob("*.page"))

    def post(self, media="image/jpeg"):
        """Posts the job in a thread, and waits until the scanner has been asked for it."""
        body = settings("Feeder", media, 75 if media == "image/jpeg" else 300, size=SIZE)

        def posting():
            try:
                with urlopen(Request(f"http://127.0.0.1:{self.escl}/eSCL/ScanJobs", data=body), timeout=30) as answer:
                    self.location = answer.headers["Location"]
            except OSError:
                pass  # killed

        threading.Thread(target=posting, daemon=True).start()
        self.until(lambda: self.control()["asked"].get("CreateScanJob"))

    def accepted(self, media="image/jpeg"):
        self.post(media)
        self.until(lambda: self.location)

    def send(self, method, path=""):
        """Sends a request for the job, and returns the connection."""
        connection = socket.create_connection(("127.0.0.1", self.escl), 30)
        connection.sendall(f"{method} {self.location}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return connection


def when_the_scanner_is_asked(job):
    job.post()


def soon_after(job):
    job.post()
    time.sleep(0.005)  # the moment itself, not a wait for something


def later(job):
    job.post()
    time.sleep(0.02)


def when_the_client_has_its_answer(job):
    job.accepted()


def when_the_first_page_arrives(job):
    job.accepted()
    job.until(job.spooled)


def between_pages(job):
    job.accepted()
    job.until(lambda: len(job.spooled()) >= 3)


def while_the_client_fetches_a_page(job):
    job.accepted()
    with job.send("GET", "/NextDocument") as connection:
        assert connection.recv(10)


def while_a_page_is_converted(job):
    job.accepted("application/pdf")
    job.until(job.spooled)
    with job.send("GET", "/NextDocument"):
        job.until(lambda: len(job.spooled()) >= 3)


def when_all_pages_wait_for_the_client(job):
    job.control("feeder?pages=3", "POST")
    job.accepted()
    job.until(lambda: job.control()["jobs"]["1"] == "Completed")


def when_the_client_cancels(job):
    job.accepted()
    job.until(job.spooled)
    job.send("DELETE").close()


MOMENTS = [when_the_scanner_is_asked, soon_after, later, when_the_client_has_its_answer, when_the_first_page_arrives,
           between_pages, while_the_client_fetches_a_page, while_a_page_is_converted,
           when_all_pages_wait_for_the_client, when_the_client_cancels]
UNSTORED = MOMENTS[:3]  # the scanner's JobId may not be stored yet, so that the scanner's own time-out ends the job


@pytest.mark.parametrize("moment", MOMENTS if os.environ.get("WSDGATEWAY_EXPLORE") else MOMENTS[3::3])
def test_a_kill_leaves_nothing(moment, twistd, tmp_path, until):
    scanner, gateway, escl, admin = (free_port() for _ in range(4))
    (tmp_path / "scanner.toml").write_text(
        f'[scanner]\nendpoint = "tcp:{scanner}:interface=127.0.0.1"\npage_seconds = 0.05\nrefill = false\n'
        f"job_timeout = {60.0 if moment in UNSTORED else 3600.0}\n")
    (tmp_path / "gateway.toml").write_text(
        f'[[listen]]\nendpoint = "tcp:{gateway}:interface=127.0.0.1"\n'
        f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{scanner}/WDP/SCAN"\n'
        f'[admin]\nendpoint = "tcp:{admin}:interface=127.0.0.1"\n'
        f'[escl]\nannounce = false\nports = "{escl}"\n')
    twistd(scanner, "wsdscanner", "--config", "scanner.toml")
    process = twistd(escl, "wsdgateway", "--config", "gateway.toml")
    job = Job(scanner, escl, tmp_path, until)
    job.control(f"feeder?pages={PAGES}", "POST")
    moment(job)
    process.kill()
    process.wait(60)
    twistd(gateway, "wsdgateway", "--config", "gateway.toml")
    assert job.spooled() == []
    until(lambda: all(state in FINAL for state in job.control()["jobs"].values()), 75)
    assert job.control()["asked"].get("CancelJob", 0) <= 1
