"""Writes what a scanner offers, for `wsdgateway scan --list`.

WS-Scan, ScannerDescription, ScannerStatus, ScannerConfiguration, DefaultScanTicket.
"""

from collections.abc import Iterable, Iterator

from wsdgateway.cli.scan.choosing import COLORS, SOURCES
from wsdgateway.cli.scan.filekinds import KIND_OF_FORMAT
from wsdgateway.cli.scan.outcomes import plain
from wsdgateway.cli.scan.scanner import Capabilities, Names
from wsdgateway.cli.scan.sizes import in_mm
from wsdgateway.metadata.messages import Labels
from wsdgateway.scan.conditions import in_words, listed
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.scannerconfiguration import ScannerConfiguration
from wsdgateway.scan.scannerstatus import ATTENTION_REQUIRED, ScannerStatus

_UNKNOWN = "not reported"
_SOURCE_OF = {wire: name for name, wire in SOURCES.items()}
_COLOR_OF = {wire: name for name in ("color", "gray", "bw") for wire in COLORS[name]}


def describe(address: str, names: Names, labels: Labels, condition: ScannerStatus | None,
             capabilities: Capabilities) -> list[str]:
    """The lines that describe a scanner. They contain no control characters."""
    model = labels.full_model or names.model
    rows = [("Scanner", labels.friendly_name or names.name or _UNKNOWN), ("Model", model or _UNKNOWN)]
    reasons = () if condition is None else condition.reasons
    if len(reasons) > 1:
        reasons = tuple(reason for reason in reasons if reason != ATTENTION_REQUIRED)
    if names.info:
        rows.append(("Info", names.info))  # ScannerInfo: any text, such as the name of an administrator
    if names.location:
        rows.append(("Location", names.location))
    rows.append(("Address", address))
    rows.append(("State", _UNKNOWN if condition is None or condition.state is None else in_words(condition.state)))
    rows.append(("Conditions", _UNKNOWN if condition is None else listed(reasons) or "none"))
    rows += _offered(capabilities.configuration)
    rows.append(("Default", _default(capabilities.default)))
    width = max(len(name) for name, _ in rows) + 2
    return [f"{name + ':' if name else '':{width}}{plain(value)}" for name, value in rows]


def _offered(configuration: ScannerConfiguration | None) -> Iterator[tuple[str, str]]:
    if configuration is None:
        yield "Sources", _UNKNOWN
        return
    for number, (source, offer) in enumerate(configuration.sources.items()):
        size = f"up to {in_mm(offer.maximum)}" if offer.maximum else "size not reported"
        dots = f"{', '.join(map(str, offer.resolutions))} dpi" if offer.resolutions else "resolutions not reported"
        yield "" if number else "Sources", f"{_SOURCE_OF.get(source, source)}: {size}; {dots}; {_colors(offer.colors)}"
    if not configuration.sources:
        yield "Sources", _UNKNOWN
    kinds: dict[str, list[str]] = {}
    for wire in configuration.formats:
        kinds.setdefault(KIND_OF_FORMAT.get(wire, wire), []).append(wire)
    yield "Formats", ", ".join(kind if wires == [kind] else f"{kind} ({', '.join(wires)})"
                               for kind, wires in kinds.items()) or _UNKNOWN


def _colors(colors: Iterable[str]) -> str:
    return ", ".join(f"{_COLOR_OF[wire]} ({wire})" if wire in _COLOR_OF else wire
                     for wire in colors) or "colors not reported"


def _default(default: DocumentParameters) -> str:
    parts = (_SOURCE_OF.get(default.source or "", default.source),
             f"{default.resolution} dpi" if default.resolution else None,
             _COLOR_OF.get(default.color or "", default.color),
             in_mm(default.size) if default.size else None, default.format)
    return ", ".join(part for part in parts if part) or _UNKNOWN
