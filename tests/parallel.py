"""Distributes the tests over several processes, with pytest-xdist: how many, and which tests share one."""

import os
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

# More than one for each core, because the tests wait for other processes and for timers half of the time.
PER_CORE, MOST = 3, 8
# Folders whose tests take so long that it pays to start several processes.
TESTS = Path(__file__).parent
LONG = (TESTS, TESTS / "e2e", TESTS / "loopback")
# End-to-end tests start first, these before the others: the longest must not be the last.
LONGEST = ("test_soak.py", "test_cluster.py", "test_cluster_network.py", "test_cluster_redis.py", "test_restart.py",
           "test_subnets.py", "test_store_outage.py", "test_recorder.py")
# One process runs all of such a module: it has an expensive fixture, or uses ports below 1024.
UNDIVIDED = ("test_cluster_network.py", "test_install.py", "test_ordinary_user.py", "test_pages.py")


def number_of_processes(config):
    """The number of test processes; 0 means this one, which starts sooner: for few tests, and with `-k` or `-s`."""
    cores = len(os.sched_getaffinity(0))
    are_few = config.option.keyword or not any(
        Path(config.invocation_params.dir, one).resolve() in LONG for one in config.args)
    if are_few or cores == 1 or config.option.capture == "no":
        return 0
    return min(cores * PER_CORE, MOST)


def _module(item):
    return item.path.name if "e2e" in item.path.parts else ""


def in_order(items):
    """Sorts the tests so that the longest start first."""
    places = {name: place for place, name in enumerate(LONGEST)}
    return sorted(items, key=lambda item: places.get(_module(item), len(LONGEST) + (not _module(item))))


class Schedule(LoadScopeScheduling):
    """Gives a process one module after the other, and end-to-end tests one by one."""

    def _split_scope(self, nodeid):
        module = nodeid.partition("::")[0]
        return nodeid if "/e2e/" in module and not module.endswith(UNDIVIDED) else module
