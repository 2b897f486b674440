"""`twistd wsdgateway`: the options, and the service that they configure."""

import errno
import gc
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.logger import Logger
from twisted.python.usage import Options as BaseOptions
from twisted.python.usage import UsageError

from wsdgateway.app.afterscan import UploadsUnusable
from wsdgateway.app.demo import Demo
from wsdgateway.app.escl import SpoolUnusable
from wsdgateway.app.memory import keep_freed_memory
from wsdgateway.app.privileges import NoSuchUser, ServiceUser, acting_as, make_log, user_of
from wsdgateway.app.programlog import LoggedService, ProgramLog
from wsdgateway.app.service import GatewayService
from wsdgateway.config.reading import ConfigError, find_config, places_in, read_config
from wsdgateway.config.sections import Config
from wsdgateway.net.transport.clock import keep_time
from wsdgateway.program import exit_with_failure, no_pid_file, version_line
from wsdgateway.storage.store import StoreError

# The surplus of allocated objects at which the cyclic garbage collector runs. The gateway makes few cycles; with
# Python's default of 700, the collector took a quarter of the time to notify a thousand subscribers of an event.
GC_THRESHOLDS = (50000, 20, 50)
DENIED = os.strerror(errno.EACCES)
STATE = ("gateway", "state")


class Options(BaseOptions):
    """`--config FILE` or `--demo`. Mistakes end the program with status 1 and one line each."""

    synopsis = "[--config FILE | --demo]"
    longdesc = "Gateway for WSD scanners across networks."
    optParameters: ClassVar = [["config", "c", None,
                                "TOML file; default: ./gateway.toml, then /etc/wsdgateway/gateway.toml"]]
    optFlags: ClassVar = [["demo", None, "run a virtual scanner on loopback, with a gateway in front of it"]]
    configuration: Config | None = None
    user: ServiceUser | None = None

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(version_line())
        raise SystemExit(0)

    def parseOptions(self, options: list[str] | None = None) -> None:
        try:
            super().parseOptions(options)
            if self["demo"] and self["config"]:
                raise UsageError("--demo takes no configuration; give either --demo or --config")
            if self["demo"]:
                no_pid_file(self.parent)
            self.user = user_of(self.parent or {})
            if not self["demo"]:
                with acting_as(self.user):
                    self.configuration = read_config(str(Path(self["config"] or find_config())))
        except UsageError as error:
            raise SystemExit(f"twistd wsdgateway: {error}") from None
        except NoSuchUser as error:
            raise SystemExit(f"twistd: {error}") from None
        except ConfigError as error:
            whose = "" if self.user is None else f" to {self.user.name}"
            raise SystemExit(str(error).replace(DENIED, DENIED + whose)) from None


def makeService(options: Options) -> IService:
    """Make the service that twistd runs."""
    from twisted.internet import reactor

    gc.set_threshold(*GC_THRESHOLDS)
    keep_freed_memory()
    keep_time(reactor)
    if options.configuration is None:
        return Demo(reactor)
    config = options.configuration
    twistd: Mapping[str, Any] = options.parent or {}
    log = ProgramLog(config.gateway)
    try:
        with acting_as(options.user):
            service = GatewayService(reactor, config, configure_log=log.configure, on_failure=exit_with_failure,
                                     environment=os.environ)
    except SpoolUnusable as error:
        raise SystemExit(f"{places_in(config.file)(('escl', 'spool'))}: [escl] spool: {error}") from None
    except UploadsUnusable as error:
        raise SystemExit(f"{places_in(config.file)(('uploads', 'folder'))}: [uploads] folder: {error}") from None
    except StoreError as error:
        raise SystemExit(f"{places_in(config.file)(STATE)}: [gateway] state: {error}") from None
    if options.user is not None:
        remark = make_log(twistd, options.user)
        if remark is not None:
            Logger().warn("{line}", line=remark)
    # Before the ports are open: by default, the signal ends the process.
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(service.reload))  # type: ignore[attr-defined]
    if twistd.get("logger"):
        if config.gateway.logs_otherwise:
            Logger().warn("[gateway] log_level and log_format have no effect, because twistd --logger replaces the log")
        return service
    logged = LoggedService(log, twistd)
    service.setServiceParent(logged)
    return logged
