"""Tests of app.programlog: level and format, the places that twistd's options name, and the seam to twistd."""

import json
import signal

import pytest
from twisted.application.app import AppLogger
from twisted.application.service import Application, IServiceCollection
from twisted.logger import ILogObserver, Logger, LogPublisher

from wsdgateway.app.programlog import LoggedService, ProgramLog
from wsdgateway.config.sections import Gateway

LEVELS = ("debug", "info", "warn", "error", "critical")


def section(**keys):
    return Gateway(name="test", state="memory:", **keys)


@pytest.fixture
def opened(cwd):
    """Opens logs on a file: `opened(**keys of [gateway])` returns the log and a function that reads its lines."""
    before = signal.getsignal(signal.SIGUSR1)

    def start(**keys):
        log = ProgramLog(section(**keys))
        log.open({"logfile": "x.log", "nodaemon": True})
        return log, lambda: (cwd / "x.log").read_text().splitlines()

    yield start
    signal.signal(signal.SIGUSR1, before)


def write_all(log):
    """Writes an event of each level."""
    logger = Logger("wsdgateway.x", observer=LogPublisher(log))
    for level in LEVELS:
        getattr(logger, level)("{scanner}: a line", scanner="front-desk")


@pytest.mark.parametrize("level", LEVELS[:-1])
def test_lines_below_the_level_are_left_out(opened, level):
    log, lines = opened(log_level=level)
    write_all(log)
    assert [line.partition("#")[2] for line in lines()] == [
        f"{one}] front-desk: a line" for one in LEVELS[LEVELS.index(level):]]


@pytest.mark.parametrize("level", ["debug", "error"])
def test_lines_that_a_server_could_write_without_end_are_left_out(opened, level):
    log, lines = opened(log_level=level)
    logger = Logger("twisted.web._newclient.HTTPClientParser", observer=LogPublisher(log))
    logger.info("Ignoring unexpected {code} response", code=102)
    logger.warn("something else")
    assert len(lines()) == (level == "debug")


def test_text_contains_no_control_characters(opened):
    log, lines = opened()
    Logger("wsdgateway.x", observer=LogPublisher(log)).info(
        "{text}", text="a\x1b[31m\x9b2J\u202e\x85b\u2028c\rd\ud800\ne für")
    assert [line.partition("] ")[2] or line for line in lines()] == [
        r"a\x1b[31m\x9b2J\u202e\x85b\u2028c\rd\ud800", "\te für"]


def test_json_has_one_object_for_each_line(opened):
    log, lines = opened(log_format="json")
    write_all(log)
    assert [(one["level"], one["scanner"]) for one in map(json.loads, lines())] == [
        (level, "front-desk") for level in LEVELS[1:]]


def test_level_and_format_can_be_changed_while_it_is_open(opened):
    log, lines = opened(log_level="error")
    log.configure(section(log_level="debug", log_format="json"))
    write_all(log)
    assert [json.loads(line)["level"] for line in lines()] == list(LEVELS)


def test_the_file_is_rotated_on_sigusr1_as_twistds_own_is(opened, cwd, monkeypatch):
    from twisted.internet import reactor

    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    monkeypatch.setattr(reactor, "callFromThread", lambda call: call())
    log, lines = opened()
    write_all(log)
    signal.raise_signal(signal.SIGUSR1)
    assert lines() == [] and len((cwd / "x.log.1").read_text().splitlines()) == 4


def test_a_handler_of_sigusr1_is_kept(opened):
    def other(*_):
        pass

    signal.signal(signal.SIGUSR1, other)
    opened()
    assert signal.getsignal(signal.SIGUSR1) is other


@pytest.mark.parametrize("options", [{"nodaemon": True}, {"nodaemon": True, "logfile": "-"}])
def test_in_the_foreground_it_writes_to_standard_output(options, capsys, cwd):
    log = ProgramLog(section())
    log.open(options)
    write_all(log)
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert list(cwd.iterdir()) == []


def test_a_daemon_writes_to_the_same_file_as_twistd(cwd):
    log = ProgramLog(section())
    log.open({})
    write_all(log)
    assert len((cwd / "twistd.log").read_text().splitlines()) == 4


@pytest.mark.parametrize(("options", "wanted"), [
    ({"logfile": "-"}, "--logfile - must be a file"), ({"logfile": "gone/x.log"}, "No such file or directory")])
def test_a_place_that_cannot_be_used_ends_the_start_with_one_line(options, wanted, cwd):
    with pytest.raises(SystemExit, match=wanted) as ended:
        ProgramLog(section()).open(options)
    assert "\n" not in ended.value.code


@pytest.mark.parametrize(("log_format", "expected"), [
    ("text", [(6, "[-] a line"), (1, "[-] bad"), (1, "[-] \tworse")]),
    ("json", [(6, "a line"), (3, "bad\nworse")])])
def test_syslog(log_format, expected, monkeypatch):
    sent = []
    for module in ("syslog.syslog", "twisted.python.syslog.SyslogObserver.syslog"):
        monkeypatch.setattr(module, lambda *given: sent.append(given[-2:]))
    monkeypatch.setattr("twisted.python.syslog.SyslogObserver.openlog", lambda *given: None)
    log = ProgramLog(section(log_format=log_format))
    log.open({"syslog": True, "prefix": "twisted"})
    logger = Logger("wsdgateway.x", observer=LogPublisher(log))
    logger.info("a line")
    logger.error("bad\nworse")
    if log_format == "json":
        sent = [(priority, json.loads(line)["message"]) for priority, line in sent]
    assert sent == expected


def test_twistd_finds_the_observer_in_its_application(opened, cwd):
    """`twistd.application.app.AppLogger` uses the component, unless it is given a `--logger`."""
    application = Application("wsdgateway")
    log = ProgramLog(section(log_format="json"))
    service = LoggedService(log, {"logfile": "x.log", "nodaemon": True})
    service.setServiceParent(application)
    assert ILogObserver(application) is log
    assert list(IServiceCollection(application)) == [service]
    assert AppLogger({})._observerFactory is None
