"""twistd on a host whose system clock is wrong: `otherclock.py SECONDS ARGUMENT…`, by how far it is ahead.

The boot clock stays as it is. libfaketime does not do: with it `time.sleep` fails, which redis-py uses.
"""

import sys
import time

_right, _ahead = time.time, float(sys.argv[1])
time.time = lambda: _right() + _ahead

from twisted.scripts.twistd import run  # noqa: E402 (it may keep `time.time`)

sys.argv[1:] = sys.argv[2:]
run()
