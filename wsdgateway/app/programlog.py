"""The log of the program: `[gateway] log_level` and `log_format`, written where twistd's options say.

twistd writes the log to standard output, to a file that it rotates, or to syslog. `ProgramLog` writes to the same
places; a `--logger` that is given to twistd replaces it.
"""

import signal
import sys
import syslog
from collections.abc import Mapping
from typing import Any

from twisted.application.service import MultiService
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LegacyLogObserverWrapper,
    LogLevel,
    LogLevelFilterPredicate,
    formatEventAsClassicLogText,
)
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile
from twisted.python.syslog import SyslogObserver
from zope.interface import implementer

from wsdgateway.app.jsonlines import json_line
from wsdgateway.app.privileges import LOG
from wsdgateway.config.sections import Gateway
from wsdgateway.program import escape_what_is_not_encoded

_PRIORITIES = {LogLevel.debug: syslog.LOG_DEBUG, LogLevel.info: syslog.LOG_INFO, LogLevel.warn: syslog.LOG_WARNING,
               LogLevel.error: syslog.LOG_ERR, LogLevel.critical: syslog.LOG_CRIT}


@implementer(ILogObserver)
class ProgramLog:
    """Writes log events of the configured level and above, in the configured format.

    Events are dropped until `open` has been called.
    """

    def __init__(self, section: Gateway) -> None:
        self._level = LogLevelFilterPredicate()
        self._observer: Any = lambda event: None
        self.configure(section)

    def configure(self, section: Gateway) -> None:
        """Use the level and the format of this section from the next event on."""
        self._is_json = section.logs_json
        level = LogLevel.levelWithName(section.log_level)
        self._level.setLogLevelForNamespace("", level)
        # Twisted's HTTP client logs each 1xx response, of which a server can send any number.
        self._level.setLogLevelForNamespace("twisted.web._newclient", max(level, LogLevel.warn))

    def open(self, options: Mapping[str, Any]) -> None:
        """Open the place that twistd's options name.

        Raises `SystemExit` with one line if it is a file that cannot be opened.
        """
        self._observer = FilteringLogObserver(self._target(options), [self._level])

    def __call__(self, event: dict[str, Any]) -> None:
        """Write an event, unless its level is too low."""
        self._observer(event)

    def _target(self, options: Mapping[str, Any]) -> Any:
        if options.get("syslog"):
            return self._syslog(options.get("prefix") or "")
        in_foreground = bool(options.get("nodaemon"))
        name = options.get("logfile") or ("-" if in_foreground else LOG)
        if name != "-":
            file: Any = _open_file(name)
        elif in_foreground:
            file = sys.stdout
            escape_what_is_not_encoded(file)
        else:
            raise SystemExit("twistd: --logfile - must be a file, because a daemon has no standard output; give a "
                             "file, or --nodaemon")
        return FileLogObserver(file, self._format)

    def _format(self, event: dict[str, Any]) -> str | None:
        return json_line(event) if self._is_json else _text_lines(event)

    def _syslog(self, prefix: str) -> Any:
        legacy: Any = SyslogObserver(prefix).emit
        as_text = LegacyLogObserverWrapper(legacy)

        def write(event: dict[str, Any]) -> None:
            if self._is_json:
                syslog.syslog(_PRIORITIES.get(event.get("log_level"), syslog.LOG_INFO), json_line(event).rstrip("\n"))
            else:
                as_text(event)
        return write


def _text_lines(event: dict[str, Any]) -> str | None:
    """The event as text. Control characters are written as escapes: texts of scanners and clients could move the
    cursor of a terminal, or look like other lines.
    """
    text = formatEventAsClassicLogText(event)
    if text is None or text[:-1].isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode() for one in text)


def _open_file(name: str) -> LogFile:
    """Open a log file that is rotated at its size, and on SIGUSR1 as twistd's own."""
    try:
        file = LogFile.fromFullPath(name)
    except OSError as error:
        raise SystemExit(f"twistd: --logfile {name}: must be a file in which the log can be written: {error.strerror}"
                         ) from None
    if not signal.getsignal(signal.SIGUSR1):
        from twisted.internet import reactor

        signal.signal(
            signal.SIGUSR1, lambda *_: reactor.callFromThread(file.rotate))  # type: ignore[attr-defined]
    return file


class LoggedService(MultiService):
    """The root of the services: has twistd write its log with `log`. `options` are those of twistd."""

    def __init__(self, log: ProgramLog, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._log = log
        self._options = options

    def setServiceParent(self, parent: Any) -> None:
        """Join twistd's application, whose component for `ILogObserver` is the observer that twistd uses."""
        if isinstance(parent, Componentized):
            self._log.open(self._options)
            parent.setComponent(ILogObserver, self._log)
        super().setServiceParent(parent)
