"""Reloads the configuration: reads the file again, compares it with the one in use, and reports the result."""

from collections.abc import Callable
from pathlib import Path
from traceback import extract_tb

from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.app.reloads import ReloadResult, Reloads, cannot
from wsdgateway.app.scanners import BridgedScanners
from wsdgateway.app.supervision import Supervision
from wsdgateway.config.changes import Changes, compare
from wsdgateway.config.reading import ConfigError, read_config_again
from wsdgateway.config.remarks import remarks
from wsdgateway.config.sections import Config
from wsdgateway.metrics import Metrics
from wsdgateway.storage.store import StoreError

_RELOADED = ("{file} reloaded: {added} scanner(s) added, {changed} replaced, {removed} removed; changed sections: "
             "{sections}")


def describe_failure(failure: Failure) -> str:
    """A failure in one line. For an error of the program, also the line of code, since no traceback is logged."""
    if failure.check(StoreError):
        return str(failure.value)
    frames = extract_tb(failure.getTracebackObject())
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(failure.value).__name__}: {failure.value}{where}"


class Reconfiguration:
    """Reloads the file of the configuration in use, which `config` returns. `apply` uses the changes of a valid one.

    `may_reload` is false while the gateway starts or stops. A file with mistakes is logged and changes nothing.
    """

    log = Logger()

    def __init__(self, config: Callable[[], Config], bridged: BridgedScanners, metrics: Metrics,
                 supervision: Supervision, wall: Callable[[], float], may_reload: Callable[[], bool],
                 apply: Callable[[Changes], None]) -> None:
        self._config = config
        self._bridged = bridged
        self._metrics = metrics
        self._wall = wall
        self._may_reload = may_reload
        self._apply = apply
        self.reloads = Reloads(self._reload, describe_failure, supervision.reloading, supervision.reloaded,
                               metrics.config_refused)

    async def reload_and_report(self, reload: Callable[[], None]) -> ReloadResult:
        """Call `reload`, once a reload in progress has ended, and return the result."""
        if not self._config().file:
            return cannot("the gateway runs without a configuration file")
        return await self.reloads.report(reload)

    def start(self) -> None:
        """Begin a reload, unless one is in progress. Scanners that the last one removed must have ended first."""
        if self._config().file and self._may_reload():
            self.reloads.start()

    async def _reload(self) -> None:
        if not self._bridged.is_settled:
            self.log.info("The configuration will be reloaded when the scanners removed by the last reload have "
                          "finished their requests")
            await self._bridged.settled()
        if not self._may_reload():
            return
        try:
            changes = compare(self._config(), read_config_again(self._config().file))
        except ConfigError as error:
            self.reloads.refuse(error.problems)
            for problem in error.problems:
                self.log.error("The configuration was not reloaded: {problem}", problem=problem)
            return
        warnings = [str(line) for line in (*remarks(changes.config), *changes.later)]
        self._apply(changes)
        for line in warnings:
            self.log.warn("{line}", line=line)
        self._metrics.config_read(self._wall())
        told = {"file": changes.config.file, "added": len(changes.added), "changed": len(changes.changed),
                "removed": len(changes.removed),
                "sections": ", ".join(f"[{name}]" for name in changes.sections) or "none"}
        self.reloads.succeeded(_RELOADED.format_map(told), warnings)
        self.log.info(_RELOADED, **told)
