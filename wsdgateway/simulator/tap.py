"""`twistd wsdscanner`: runs the virtual scanner alone."""

import time
from typing import ClassVar

from twisted.application.service import IService
from twisted.python.usage import Options as BaseOptions
from twisted.python.usage import UsageError

from wsdgateway.net.transport.clock import keep_time
from wsdgateway.program import no_pid_file, version_line
from wsdgateway.simulator.service import VirtualScanner
from wsdgateway.simulator.settings import Settings, SettingsError, read_settings


class Options(BaseOptions):
    """`--config FILE`"""

    synopsis = "[--config FILE]"
    longdesc = "A virtual WSD scanner, for trying things out without a real one."
    optParameters: ClassVar = [["config", "c", None,
                                "TOML file with a [scanner] section; default: a scanner at http://127.0.0.1:8018"]]

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(version_line())
        raise SystemExit(0)

    def parseOptions(self, options: list[str] | None = None) -> None:
        try:
            super().parseOptions(options)
            no_pid_file(self.parent)
            self.settings = read_settings(self["config"]) if self["config"] else Settings()
        except (UsageError, SettingsError) as error:
            raise SystemExit(f"twistd wsdscanner: {error}") from None


def makeService(options: Options) -> IService:
    """Make the service that twistd runs."""
    from twisted.internet import reactor

    keep_time(reactor)
    return VirtualScanner(reactor, options.settings, wall=time.time)
