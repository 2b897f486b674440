"""Measures the speed of the gateway beside its peers, and prints one table in Markdown.

The rounds are interleaved: in each, every program is measured once, the gateway twice, as two processes. The ratio of
the two is the noise of the machine. Nothing is asserted; the exit status is 1 if a row could not be measured.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import escl
import exchange_log
import forwarding
import growth
import image_relay
import status_reads
from peers import cores
from table import Line, show

ROWS: dict[str, Callable[[int, int], list[Line]]] = {
    "status": status_reads.keep_alive,
    "new-connections": status_reads.new_connections,
    "two-writes": status_reads.two_writes,
    "late": status_reads.late_requests,
    "kept": status_reads.kept_answers,
    "forwarded": forwarding.forwarded,
    "image": image_relay.images,
    "log": exchange_log.full_speed,
    "log-paced": exchange_log.paced,
    "latency": image_relay.latency,
    "growth": growth.grown,
    "escl-status": escl.keep_alive,
    "escl-new-connections": escl.new_connections,
    "escl-pages": escl.pages,
}


def machine() -> str:
    """Returns a line about the machine and the versions of the programs."""
    processor = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr
    return (f"{os.cpu_count()} cores, {processor[1] if processor else platform.machine()}, Linux {platform.release()}, "
            f"Python {platform.python_version()}, Twisted {version('Twisted')}, "
            f"nginx {nginx.strip().rpartition('/')[2]}; load average at the start {os.getloadavg()[0]:.2f}")


def main() -> int:
    """Measures the rows and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5,
                        help="interleaved rounds (5); images: twice as many process starts")
    parser.add_argument("--seconds", type=int, default=2, help="seconds for each measurement (2)")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; default: all of them")
    options = parser.parse_args()
    if unknown := set(options.rows) - ROWS.keys():
        parser.error(f"ROW must be one of {', '.join(ROWS)}, not {', '.join(sorted(unknown))}")
    if cores() < 2:
        parser.error("two cores are needed")
    about, began = machine(), time.monotonic()
    lines: list[Line] = []
    failed = []
    for name in options.rows or ROWS:
        try:
            lines += ROWS[name](options.rounds, options.seconds)
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            failed.append(f"{name} could not be measured: {error}")
    show(lines)
    print(f"\n{about}. Medians of {options.rounds} interleaved rounds of {options.seconds} s, least and greatest value "
          f"in brackets; {time.strftime('%Y-%m-%d')}, {(time.monotonic() - began) / 60:.0f} minutes.")
    for message in failed:
        print(message)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
