"""`twistd wsdgateway`: the options, and the service that they lead to."""

import gc
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.logger import Logger
from twisted.python.usage import Options as BaseOptions
from twisted.python.usage import UsageError

from wsdgateway.config.reading import ConfigError, find_config, read_config
from wsdgateway.config.sections import Config
from wsdgateway.demo import Demo
from wsdgateway.ordinaryuser import acting_as, make_log, make_sure, user_of
from wsdgateway.service import GatewayService
from wsdgateway.storage.store import StoreError

# How many objects more than were freed start a look for cycles. We make few; with Python's 700 the looks were a quarter
# of the time in which a thousand subscribers are told of an event.
GC_THRESHOLDS = (50000, 20, 50)


class Options(BaseOptions):
    """`--config FILE` or `--demo`. A mistake ends the program with a line for each, and status 1."""

    synopsis = "[--config FILE | --demo]"
    longdesc = "Gateway for WSD scanners across networks."
    optParameters: ClassVar = [["config", "c", None,
                                "TOML file; without it ./gateway.toml, then /etc/wsdgateway/gateway.toml"]]
    optFlags: ClassVar = [["demo", None, "a virtual scanner and a gateway in front of it, on loopback"]]
    configuration: Config | None = None

    def parseOptions(self, options: list[str] | None = None) -> None:
        try:
            super().parseOptions(options)
            if self["demo"] and self["config"]:
                raise UsageError("--demo needs no --config; give one of the two")
            if not self["demo"]:
                self.configuration = read_config(str(Path(self["config"] or find_config())))
        except UsageError as error:
            raise SystemExit(f"twistd wsdgateway: {error}") from None
        except ConfigError as error:
            raise SystemExit(str(error)) from None


def makeService(options: Options) -> IService:
    """The service that twistd runs."""
    from twisted.internet import reactor

    gc.set_threshold(*GC_THRESHOLDS)
    if options.configuration is None:
        return Demo(reactor)
    config = options.configuration
    process: Mapping[str, Any] = options.parent or {}
    try:
        user = user_of(process)
        with acting_as(user):
            service = GatewayService(reactor, config)
    except StoreError as error:
        raise SystemExit(f"{config.file}: [gateway] state = {config.gateway.state}: {error}") from None
    except LookupError as error:
        raise SystemExit(f"twistd: {error.args[0]}") from None
    if user is not None:
        for line in filter(None, (make_log(process, user), make_sure(user, config.file))):
            Logger().warn("{line}", line=line)
    reactor.callWhenRunning(
        signal.signal, signal.SIGHUP, lambda *_: reactor.callFromThread(service.reload))  # type: ignore[attr-defined]
    return service
