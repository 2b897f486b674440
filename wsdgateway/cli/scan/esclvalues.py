"""Maps the documents of eSCL to values of WS-Scan for `wsdgateway scan`, and parameters to ScanSettings.

eSCL, ScannerCapabilities, ScannerStatus, ScanSettings.
"""

import attrs

from wsdgateway.bridge.frontends.escl.lengths import to_thousandths
from wsdgateway.cli.scan.scanner import Capabilities, Names
from wsdgateway.escl.inputcaps import InputCaps
from wsdgateway.escl.scannercapabilities import Adf, ScannerCapabilities
from wsdgateway.escl.scannerstatus import (
    ADF_DOOR_OPEN,
    ADF_EMPTY,
    ADF_HATCH_OPEN,
    ADF_JAM,
    ADF_MULTIPICK,
    STOPPED,
    TESTING,
    ScannerStatus,
)
from wsdgateway.escl.scansettings import FEEDER, ScanRegion, ScanSettings
from wsdgateway.escl.scansettings import PLATEN as ESCL_PLATEN
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.scannerconfiguration import (
    ADF,
    ADF_DUPLEX,
    MAX_VALUES,
    PLATEN,
    ScannerConfiguration,
    SourceOffer,
)
from wsdgateway.scan.scannerstatus import ATTENTION_REQUIRED, INPUT_TRAY_EMPTY
from wsdgateway.scan.scannerstatus import ScannerStatus as Condition

# PDF is left out: the program makes its own, of images.
_FORMATS = {"image/jpeg": "jfif", "image/png": "png", "image/tiff": "tiff-single-uncompressed"}
_MEDIA_TYPES = {**{wire: media for media, wire in _FORMATS.items()}, "exif": "image/jpeg"}
_ADF_REASONS = {
    ADF_EMPTY: INPUT_TRAY_EMPTY, ADF_JAM: "MediaJam", ADF_HATCH_OPEN: "CoverOpen", ADF_MULTIPICK: "MultipleFeedError",
    ADF_DOOR_OPEN: "CoverOpen",
    # States that the gateway never writes.
    "ScannerAdfMispick": ATTENTION_REQUIRED,
    "ScannerAdfInputTrayFailed": ATTENTION_REQUIRED, "ScannerAdfInputTrayOverloaded": ATTENTION_REQUIRED}


@attrs.frozen
class EsclCapabilities:
    """The content of ScannerCapabilities. `version` is that of the protocol, for requests."""

    version: str
    names: Names
    capabilities: Capabilities


def read_capabilities(data: bytes) -> EsclCapabilities:
    """The capabilities in a document. Raises `Unreadable`."""
    found = ScannerCapabilities.read(data)
    feeder = found.adf or Adf()
    listed = ((PLATEN, found.platen), (ADF, feeder.simplex), (ADF_DUPLEX, feeder.duplex))
    given = {source: caps for source, caps in listed if caps is not None}
    offered = {media for caps in given.values() for profile in caps.profiles for media in profile.formats}
    order = tuple(wire for media, wire in _FORMATS.items() if media in offered)
    model = found.make_and_model
    return EsclCapabilities(found.version, Names(name=model, model=model), Capabilities(
        ScannerConfiguration(order, {source: _offer(caps) for source, caps in given.items()})))


def _offer(caps: InputCaps) -> SourceOffer:
    dots = {across for profile in caps.profiles for across, down in profile.resolutions if across == down}
    colors = dict.fromkeys(color for profile in caps.profiles for color in profile.color_modes)
    return SourceOffer(tuple(sorted(dots))[:MAX_VALUES], tuple(colors)[:MAX_VALUES],
                       (to_thousandths(caps.max_width), to_thousandths(caps.max_height)),
                       (to_thousandths(caps.min_width), to_thousandths(caps.min_height)))


def condition_of(status: ScannerStatus) -> Condition:
    """The state, with the state of the feeder as a condition."""
    reasons = ("Calibrating" if status.state == TESTING else None, _ADF_REASONS.get(status.adf_state or ""))
    return Condition(STOPPED if status.state == TESTING else status.state or None,
                     tuple(reason for reason in reasons if reason))


def job_of(status: ScannerStatus, job_id: str) -> JobStatus | None:
    """The status of the job whose URI ends in the same id; None if it is not listed."""
    found = next((job for job in status.jobs if _last(job.uri) == _last(job_id)), None)
    return None if found is None else JobStatus(job_id, found.state, found.reasons)


def _last(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2]


def settings_of(wanted: DocumentParameters, version: str) -> ScanSettings:
    """The settings of a job."""
    region = None if wanted.size is None else ScanRegion(
        width=_to_300ths(wanted.size[0]), height=_to_300ths(wanted.size[1]))
    is_platen = wanted.source == PLATEN
    return ScanSettings(
        version, region=region, format=_MEDIA_TYPES.get(wanted.format or ""),
        source=ESCL_PLATEN if is_platen else FEEDER, x_resolution=wanted.resolution, y_resolution=wanted.resolution,
        color_mode=wanted.color, duplex=None if is_platen else wanted.source == ADF_DUPLEX)


def _to_300ths(mils: int) -> int:
    return max(1, round(mils * 3 / 10))
