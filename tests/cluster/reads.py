"""Requests of clients, and what comes of each; clients that read a job's status again and again."""

import http.client
import threading
import time

import attrs

from tests.cluster.clients import PATH
from tests.cluster.recorder import fault_in_answer
from tests.messages import get_job_elements

ANSWER_SECONDS = 10.0
READ_SECONDS = 0.1  # from the begin of one read to that of the next, whether it was answered or not
GOOD, FAULT, REFUSED, BROKEN, SILENT = "good", "fault", "refused", "broken off", "silent"


@attrs.frozen
class Read:
    """One request, with a connection of its own: begin, end, and what came of it.

    `answer` is the body of a fault.
    """

    begin: float
    end: float
    outcome: str
    answer: bytes = b""


def read_and_read(address, port, job_id, stop, reads):
    """Reads a job's status ten times a second until `stop` is set; appends each read to `reads` when it ends."""
    message, started, next_one = get_job_elements(job_id), [], time.monotonic()
    while not stop.wait(max(0.0, next_one - time.monotonic())):
        next_one += READ_SECONDS
        started = [one for one in started if one.is_alive()]
        started.append(threading.Thread(target=lambda: reads.append(asked(address, port, message))))
        started[-1].start()
    for one in started:
        one.join()


def asked(address, port, message, seconds=ANSWER_SECONDS):
    """Sends a message, and returns what came of it."""
    begin, answer = time.monotonic(), b""
    try:
        status, body = post(address, port, message, seconds)
        outcome = GOOD if fault_in_answer(status, body) is None else FAULT
        answer = b"" if outcome == GOOD else body
    except TimeoutError:
        outcome = SILENT
    except (ConnectionResetError, BrokenPipeError, http.client.HTTPException):
        outcome = BROKEN
    except OSError:  # also a host that cannot be found
        outcome = REFUSED
    return Read(begin, time.monotonic(), outcome, answer)


def post(address, port, message, seconds):
    """Sends a message over a connection of its own. Returns HTTP status and body of the answer."""
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    try:
        connection.request("POST", PATH, message, {"Content-Type": "application/soap+xml", "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
