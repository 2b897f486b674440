"""Settings and fixtures for all tests, and a check that no failure is only logged."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from tests import parallel
from tests.certificates import Certified
from tests.logs import logged

# A shell ignores SIGINT in what it starts in the background, and programs that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Hypothesis draws the same inputs in every run, so that a test fails only because of a change. WSDGATEWAY_EXPLORE=1
# draws new inputs and keeps the failing ones in .hypothesis.
_SHARED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", derandomize=True, **_SHARED)
settings.register_profile("explore", **_SHARED)
settings.load_profile("explore" if os.environ.get("WSDGATEWAY_EXPLORE") else "repeatable")


def pytest_xdist_auto_num_workers(config):
    return parallel.number_of_processes(config)


def pytest_xdist_make_scheduler(config, log):
    return parallel.Schedule(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items[:] = parallel.in_order(items)


@pytest.fixture(autouse=True)
def _no_failure_is_logged(request):
    """Fails the test if a failure was logged, unless the test has the mark `logs_failure`; then it requires one."""
    with logged(lambda event: event.get("log_failure")) as failures:
        yield
    if request.node.get_closest_marker("logs_failure"):
        assert failures
    else:
        assert not failures, failures[0].getTraceback()


@pytest.fixture
def said():
    """The list of log lines, to which each line is added as it is logged."""
    with logged() as lines:
        yield lines


@pytest.fixture
def cwd(tmp_path, monkeypatch):
    """An empty folder, which is the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def certified(tmp_path):
    """A self-signed certificate of this host, in the files server.pem and server.key."""
    return Certified(tmp_path, "server", "127.0.0.1")
