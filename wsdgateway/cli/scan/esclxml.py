"""Reads and writes the XML of eSCL for `wsdgateway scan`, as values of WS-Scan.

eSCL, ScannerCapabilities, ScannerStatus, ScanSettings. Lengths are in 1/300 inch there, and in 1/1000 inch in WS-Scan.
Elements are read by namespace, whatever their prefix; they are written with the prefixes that devices compare as text.
"""

from collections.abc import Iterator

import attrs
from lxml import etree

from wsdgateway.cli.scan.scanner import Capabilities, Names
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.scannerconfiguration import (
    ADF,
    ADF_DUPLEX,
    MAX_VALUE,
    MAX_VALUES,
    PLATEN,
    ScannerConfiguration,
    SourceOffer,
)
from wsdgateway.scan.scannerstatus import ATTENTION_REQUIRED, INPUT_TRAY_EMPTY, ScannerStatus
from wsdgateway.soap.parsing import escape, text_of

SCAN = "http://schemas.hp.com/imaging/escl/2011/05/03"
PWG = "http://www.pwg.org/schemas/2010/12/sm"
DEFAULT_VERSION = "2.63"
MAX_JOBS = 100

# PDF is left out: the program makes its own, of images.
_FORMATS = {"image/jpeg": "jfif", "image/png": "png", "image/tiff": "tiff-single-uncompressed"}
_MEDIA_TYPES = {**{wire: media for media, wire in _FORMATS.items()}, "exif": "image/jpeg"}
_SOURCES = {PLATEN: "PlatenInputCaps", ADF: "AdfSimplexInputCaps", ADF_DUPLEX: "AdfDuplexInputCaps"}
_STATES = {"Testing": "Stopped"}
_REASONS = {"Testing": "Calibrating"}
_ADF_REASONS = {
    "ScannerAdfEmpty": INPUT_TRAY_EMPTY, "ScannerAdfJam": "MediaJam", "ScannerAdfHatchOpen": "CoverOpen",
    "ScannerAdfDoorOpen": "CoverOpen", "ScannerAdfMultipickDetected": "MultipleFeedError",
    "ScannerAdfMispick": ATTENTION_REQUIRED, "ScannerAdfInputTrayFailed": ATTENTION_REQUIRED,
    "ScannerAdfInputTrayOverloaded": ATTENTION_REQUIRED}


@attrs.frozen
class EsclCapabilities:
    """The content of ScannerCapabilities. `version` is that of the protocol, for requests."""

    version: str
    names: Names
    capabilities: Capabilities


def read_capabilities(root: etree._Element) -> EsclCapabilities | None:
    """The capabilities in a document; None if it is another one."""
    if root.tag != f"{{{SCAN}}}ScannerCapabilities":
        return None
    found = {source: caps for source, name in _SOURCES.items()
             if (caps := next(root.iter(f"{{{SCAN}}}{name}"), None)) is not None}
    formats = {_FORMATS[media] for media in _texts(root, "DocumentFormat", "DocumentFormatExt") if media in _FORMATS}
    order = tuple(wire for wire in _FORMATS.values() if wire in formats)
    model = _first(root, "MakeAndModel") or ""
    return EsclCapabilities(_first(root, "Version") or DEFAULT_VERSION, Names(name=model, model=model), Capabilities(
        ScannerConfiguration(order, {source: _offer(root, caps) for source, caps in found.items()})))


def read_status(root: etree._Element) -> ScannerStatus:
    """The state, with the state of the feeder as a condition."""
    state = _first(root, "State")
    given = (_REASONS.get(state or ""), _ADF_REASONS.get(_first(root, "AdfState") or ""))
    return ScannerStatus(_STATES.get(state or "", state), tuple(reason for reason in given if reason))


def read_job(root: etree._Element, job_id: str) -> JobStatus | None:
    """The status of the job whose URI ends in the same id; None if it is not in a ScannerStatus."""
    last = job_id.rstrip("/").rpartition("/")[2]
    for number, info in enumerate(root.iter(f"{{{SCAN}}}JobInfo")):
        if number < MAX_JOBS and (_first(info, "JobUri") or "").rstrip("/").rpartition("/")[2] == last:
            state = _first(info, "JobState")
            return None if state is None else JobStatus(job_id, state, tuple(_texts(info, "JobStateReason")))
    return None


def write_settings(wanted: DocumentParameters, version: str) -> bytes:
    """The ScanSettings of a job."""
    def element(name: str, value: object) -> str:
        return "" if value is None else f"<{name}>{escape(str(value))}</{name}>"

    region = "" if wanted.size is None else (
        "<pwg:ScanRegions><pwg:ScanRegion><pwg:ContentRegionUnits>escl:ThreeHundredthsOfInches</pwg:ContentRegionUnits>"
        f"<pwg:Height>{_to_300ths(wanted.size[1])}</pwg:Height><pwg:Width>{_to_300ths(wanted.size[0])}</pwg:Width>"
        "<pwg:XOffset>0</pwg:XOffset><pwg:YOffset>0</pwg:YOffset></pwg:ScanRegion></pwg:ScanRegions>")
    media = _MEDIA_TYPES.get(wanted.format or "")
    duplex = None if wanted.source == PLATEN else "true" if wanted.source == ADF_DUPLEX else "false"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<scan:ScanSettings xmlns:scan="{SCAN}" xmlns:pwg="{PWG}">'
        f"{element('pwg:Version', version)}{region}"
        f"{element('pwg:InputSource', 'Platen' if wanted.source == PLATEN else 'Feeder')}"
        f"{element('scan:ColorMode', wanted.color)}{element('pwg:DocumentFormat', media)}"
        f"{element('scan:DocumentFormatExt', media)}{element('scan:XResolution', wanted.resolution)}"
        f"{element('scan:YResolution', wanted.resolution)}{element('scan:Duplex', duplex)}"
        "</scan:ScanSettings>").encode()


def _offer(root: etree._Element, caps: etree._Element) -> SourceOffer:
    # Older devices have common profiles, to which the source only refers.
    profiles = caps if caps.find(f".//{{{SCAN}}}ColorMode") is not None else root
    dots = {int(across) for pair in profiles.iter(f"{{{SCAN}}}DiscreteResolution")
            if (across := _first(pair, "XResolution") or "") == _first(pair, "YResolution") and _is_number(across)}
    return SourceOffer(tuple(sorted(dots))[:MAX_VALUES], tuple(_texts(profiles, "ColorMode")),
                       _size(caps, "Max"), _size(caps, "Min"))


def _size(caps: etree._Element, which: str) -> tuple[int, int] | None:
    width, height = _first(caps, f"{which}Width") or "", _first(caps, f"{which}Height") or ""
    if not _is_number(width) or not _is_number(height):
        return None
    return (int(width) * 10 // 3, int(height) * 10 // 3) if int(width) and int(height) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 8


def _to_300ths(mils: int) -> int:
    return max(1, round(mils * 3 / 10))


def _first(element: etree._Element, name: str) -> str | None:
    return next(_texts(element, name), None)


def _texts(element: etree._Element, *names: str) -> Iterator[str]:
    """The texts of descendants with these names, each once, in either namespace."""
    wanted = [f"{{{uri}}}{name}" for name in names for uri in (SCAN, PWG)]
    texts = (text_of(found) for found in element.iter(*wanted))
    yield from list(dict.fromkeys(text for text in texts if text and len(text) <= MAX_VALUE))[:MAX_VALUES]
