"""Settings of every test, and a check that no failure was only logged."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests import parallel
from tests.certificates import Certified
from tests.logs import logged

# The same inputs in every run, so that a change fails for its own fault. WSDGATEWAY_EXPLORE=1 draws new ones, and keeps
# those that failed in .hypothesis.
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
def _nothing_logged_as_failed(request):
    """A failure that somebody only logged fails the test."""
    with logged(lambda event: event.get("log_failure")) as failures:
        yield
    if request.node.get_closest_marker("logs_failure"):
        assert failures
    else:
        assert not failures, failures[0].getTraceback()


@pytest.fixture
def said():
    """The lines of the log, as they come."""
    with logged() as lines:
        yield lines


@pytest.fixture
def cwd(tmp_path, monkeypatch):
    """The working directory of the test: an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def certified(tmp_path):
    """A certificate of this host that it signed itself, in the files server.pem and server.key."""
    return Certified(tmp_path, "server", "127.0.0.1")
