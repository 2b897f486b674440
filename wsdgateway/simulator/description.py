"""The virtual scanner's description: DPWS metadata and the elements of WS-Scan.

DPWS 2006/02, section 5; WS-Scan, ScannerDescription, ScannerConfiguration, DefaultScanTicket.
"""

from collections.abc import Iterable

from wsdgateway.bridge.discovery.presence import located
from wsdgateway.discovery.messages import TargetService
from wsdgateway.scan.scannerconfiguration import ADF_DUPLEX
from wsdgateway.simulator.jobs import JobEvent, VirtualJob
from wsdgateway.simulator.pages import COLORS, FORMATS, MAX_HEIGHT, MAX_WIDTH, PageFormat
from wsdgateway.simulator.settings import Settings
from wsdgateway.soap.namespaces import WSCN, WSDP
from wsdgateway.soap.parsing import escape

RESOLUTIONS = (75, 100, 150, 200, 300, 600)
SCAN_PATH = "/WDP/SCAN"
SOURCES = ("Platen", "ADF", "ADFDuplex")
TYPES = ((WSDP, "Device"), (WSCN, "ScanDeviceType"))


def device_path(settings: Settings) -> str:
    """The path of the device below a base address."""
    return f"/{settings.uuid}"


def target_service(settings: Settings, metadata_version: int) -> TargetService:
    """The device as a target service, without its address."""
    return TargetService(f"urn:uuid:{settings.uuid}", TYPES, settings.scopes, (), metadata_version)


def metadata(settings: Settings, base: str) -> str:
    """The wsx:Metadata of the device. Its addresses begin with `base`; its endpoint is the one used in discovery."""
    here = located(target_service(settings, settings.metadata_version), base + device_path(settings))
    return (
        f'<wsx:Metadata><wsx:MetadataSection Dialect="{WSDP}/ThisDevice"><wsdp:ThisDevice>'
        f'<wsdp:FriendlyName xml:lang="en">{escape(settings.name)}</wsdp:FriendlyName>'
        "<wsdp:FirmwareVersion>1.0</wsdp:FirmwareVersion><wsdp:SerialNumber>VIRTUAL-1</wsdp:SerialNumber>"
        f'</wsdp:ThisDevice></wsx:MetadataSection><wsx:MetadataSection Dialect="{WSDP}/ThisModel"><wsdp:ThisModel>'
        '<wsdp:Manufacturer xml:lang="en">wsdgateway</wsdp:Manufacturer>'
        '<wsdp:ModelName xml:lang="en">Virtual scanner</wsdp:ModelName><wsdp:ModelNumber>1</wsdp:ModelNumber>'
        f"<wsdp:PresentationUrl>{escape(base)}/control/</wsdp:PresentationUrl>"
        "<pnpx:DeviceCategory>Scanners</pnpx:DeviceCategory>"
        f'</wsdp:ThisModel></wsx:MetadataSection><wsx:MetadataSection Dialect="{WSDP}/Relationship">'
        f'<wsdp:Relationship Type="{WSDP}/host"><wsdp:Host><wsa:EndpointReference>'
        f"<wsa:Address>{escape(here.endpoint)}</wsa:Address></wsa:EndpointReference>"
        "<wsdp:Types>wscn:ScanDeviceType</wsdp:Types><wsdp:ServiceId>uri:virtual</wsdp:ServiceId></wsdp:Host>"
        f"<wsdp:Hosted><wsa:EndpointReference><wsa:Address>{escape(base)}{SCAN_PATH}</wsa:Address>"
        "</wsa:EndpointReference><wsdp:Types>wscn:ScannerServiceType</wsdp:Types>"
        "<wsdp:ServiceId>uri:virtual/scan</wsdp:ServiceId>"
        "<pnpx:CompatibleId>http://schemas.microsoft.com/windows/2006/08/wdp/scan/ScannerServiceType"
        "</pnpx:CompatibleId><pnpx:HardwareId>VIRTUAL_SCANNER</pnpx:HardwareId></wsdp:Hosted></wsdp:Relationship>"
        "</wsx:MetadataSection></wsx:Metadata>"
    )


def scanner_elements(settings: Settings, *, status: str) -> dict[str, str]:
    """The elements that GetScannerElements can request, as XML, by name. `status` is the ScannerStatus."""
    return {
        "ScannerDescription": _description(settings),
        "ScannerConfiguration": _configuration(),
        "ScannerStatus": status,
        "DefaultScanTicket": write_ticket(
            "DefaultScanTicket", name="Scan", user="Anonymous", source="Platen", page=PageFormat(), images=1),
    }


def _description(settings: Settings) -> str:
    return (f'<wscn:ScannerDescription><wscn:ScannerName xml:lang="en">{escape(settings.name)}</wscn:ScannerName>'
            '<wscn:ScannerInfo xml:lang="en">Simulated by wsdgateway</wscn:ScannerInfo>'
            '<wscn:ScannerLocation xml:lang="en">Memory</wscn:ScannerLocation></wscn:ScannerDescription>')


def _listed(outer: str, inner: str, values: Iterable[object]) -> str:
    return f"<wscn:{outer}>" + "".join(f"<wscn:{inner}>{value}</wscn:{inner}>" for value in values) + f"</wscn:{outer}>"


def _part(prefix: str) -> str:
    """The capabilities of one source, whose elements have its name as a prefix."""
    return (
        f"<wscn:{prefix}OpticalResolution><wscn:Width>600</wscn:Width><wscn:Height>600</wscn:Height>"
        f"</wscn:{prefix}OpticalResolution><wscn:{prefix}Resolutions>"
        f"{_listed('Widths', 'Width', RESOLUTIONS)}{_listed('Heights', 'Height', RESOLUTIONS)}"
        f"</wscn:{prefix}Resolutions>{_listed(f'{prefix}Color', 'ColorEntry', tuple(COLORS))}"
        f"<wscn:{prefix}MinimumSize><wscn:Width>100</wscn:Width><wscn:Height>100</wscn:Height>"
        f"</wscn:{prefix}MinimumSize><wscn:{prefix}MaximumSize><wscn:Width>{MAX_WIDTH}</wscn:Width>"
        f"<wscn:Height>{MAX_HEIGHT}</wscn:Height></wscn:{prefix}MaximumSize>"
    )


def _configuration() -> str:
    return (
        "<wscn:ScannerConfiguration><wscn:DeviceSettings>"
        f"{_listed('FormatsSupported', 'FormatValue', tuple(FORMATS))}"
        "<wscn:CompressionQualityFactorSupported><wscn:MinValue>1</wscn:MinValue><wscn:MaxValue>100</wscn:MaxValue>"
        "</wscn:CompressionQualityFactorSupported>"
        f"{_listed('ContentTypesSupported', 'ContentTypeValue', ('Auto', 'Text', 'Photo', 'Mixed'))}"
        "<wscn:DocumentSizeAutoDetectSupported>false</wscn:DocumentSizeAutoDetectSupported>"
        "<wscn:AutoExposureSupported>false</wscn:AutoExposureSupported>"
        "<wscn:BrightnessSupported>false</wscn:BrightnessSupported>"
        "<wscn:ContrastSupported>false</wscn:ContrastSupported>"
        "<wscn:ScalingRangeSupported><wscn:ScalingWidth><wscn:MinValue>100</wscn:MinValue>"
        "<wscn:MaxValue>100</wscn:MaxValue></wscn:ScalingWidth><wscn:ScalingHeight><wscn:MinValue>100</wscn:MinValue>"
        "<wscn:MaxValue>100</wscn:MaxValue></wscn:ScalingHeight></wscn:ScalingRangeSupported>"
        f"{_listed('RotationsSupported', 'RotationValue', (0,))}</wscn:DeviceSettings>"
        f"<wscn:Platen>{_part('Platen')}</wscn:Platen>"
        "<wscn:ADF><wscn:ADFSupportsDuplex>1</wscn:ADFSupportsDuplex>"
        f"<wscn:ADFFront>{_part('ADF')}</wscn:ADFFront><wscn:ADFBack>{_part('ADF')}</wscn:ADFBack></wscn:ADF>"
        "</wscn:ScannerConfiguration>"
    )


def write_ticket(element: str, *, name: str, user: str, source: str, page: PageFormat, images: int) -> str:
    """A scan ticket as the given element: ScanTicket, DefaultScanTicket or ValidScanTicket."""
    return (
        f"<wscn:{element}><wscn:JobDescription><wscn:JobName>{escape(name)}</wscn:JobName>"
        f"<wscn:JobOriginatingUserName>{escape(user)}</wscn:JobOriginatingUserName></wscn:JobDescription>"
        f"{parameters(source, page, images)}</wscn:{element}>")


def parameters(source: str, page: PageFormat, images: int, element: str = "DocumentParameters") -> str:
    """The complete parameters that a page is scanned with.

    Exposure holds ExposureSettings, not AutoExposure: DocumentFinalParameters allows nothing else, and clients look for
    all three of its elements.
    """
    side = (
        "<wscn:ScanRegion><wscn:ScanRegionXOffset>0</wscn:ScanRegionXOffset>"
        "<wscn:ScanRegionYOffset>0</wscn:ScanRegionYOffset>"
        f"<wscn:ScanRegionWidth>{page.width}</wscn:ScanRegionWidth>"
        f"<wscn:ScanRegionHeight>{page.height}</wscn:ScanRegionHeight></wscn:ScanRegion>"
        f"<wscn:ColorProcessing>{page.color}</wscn:ColorProcessing><wscn:Resolution>"
        f"<wscn:Width>{page.resolution}</wscn:Width><wscn:Height>{page.resolution}</wscn:Height></wscn:Resolution>")
    sides = f"<wscn:MediaFront>{side}</wscn:MediaFront>"
    if source == ADF_DUPLEX:
        sides += f"<wscn:MediaBack>{side}</wscn:MediaBack>"
    return (
        f"<wscn:{element}><wscn:Format>{page.format}</wscn:Format>"
        "<wscn:CompressionQualityFactor>85</wscn:CompressionQualityFactor>"
        f"<wscn:ImagesToTransfer>{images}</wscn:ImagesToTransfer><wscn:InputSource>{source}</wscn:InputSource>"
        "<wscn:ContentType>Auto</wscn:ContentType><wscn:InputSize><wscn:InputMediaSize>"
        f"<wscn:Width>{page.width}</wscn:Width><wscn:Height>{page.height}</wscn:Height></wscn:InputMediaSize>"
        "</wscn:InputSize><wscn:Exposure><wscn:ExposureSettings><wscn:Contrast>0</wscn:Contrast>"
        "<wscn:Brightness>0</wscn:Brightness><wscn:Sharpness>0</wscn:Sharpness></wscn:ExposureSettings></wscn:Exposure>"
        "<wscn:Scaling><wscn:ScalingWidth>100</wscn:ScalingWidth><wscn:ScalingHeight>100</wscn:ScalingHeight>"
        f"</wscn:Scaling><wscn:Rotation>0</wscn:Rotation><wscn:MediaSides>{sides}</wscn:MediaSides></wscn:{element}>"
    )


def image_information(source: str, page: PageFormat) -> str:
    """ImageInformation: the size in pixels that results from a ticket.

    BytesPerLine is 0 because every format is compressed.
    """
    width, height = page.size
    lines = (f"<wscn:PixelsPerLine>{width}</wscn:PixelsPerLine><wscn:NumberOfLines>{height}</wscn:NumberOfLines>"
             "<wscn:BytesPerLine>0</wscn:BytesPerLine>")
    back = f"<wscn:MediaBackImageInfo>{lines}</wscn:MediaBackImageInfo>" if source == ADF_DUPLEX else ""
    return (f"<wscn:ImageInformation><wscn:MediaFrontImageInfo>{lines}</wscn:MediaFrontImageInfo>{back}"
            "</wscn:ImageInformation>")


def documents(job: VirtualJob) -> str:
    """The Documents element of a job."""
    return ("<wscn:Documents>" + parameters(job.source, job.page, job.wanted, "DocumentFinalParameters")
            + "<wscn:Document><wscn:DocumentDescription><wscn:DocumentName>" + escape(job.name)
            + "</wscn:DocumentName></wscn:DocumentDescription></wscn:Document></wscn:Documents>")


def job_summary(job: VirtualJob) -> str:
    """A JobSummary."""
    status = job.status
    reasons = "".join(f"<wscn:JobStateReason>{reason}</wscn:JobStateReason>" for reason in status.reasons)
    return (f"<wscn:JobSummary><wscn:JobId>{status.job_id}</wscn:JobId><wscn:JobName>{escape(job.name)}</wscn:JobName>"
            f"<wscn:JobOriginatingUserName>{escape(job.user)}</wscn:JobOriginatingUserName>"
            f"<wscn:JobState>{status.state}</wscn:JobState><wscn:JobStateReasons>{reasons}</wscn:JobStateReasons>"
            f"<wscn:ScansCompleted>{status.scans_completed}</wscn:ScansCompleted></wscn:JobSummary>")


def job_end_state(event: JobEvent) -> str:
    """A JobEndStateEvent."""
    status = event.status
    reasons = "".join(f"<wscn:JobStateReason>{reason}</wscn:JobStateReason>" for reason in status.reasons)
    return (f"<wscn:JobEndStateEvent><wscn:JobEndState><wscn:JobId>{status.job_id}</wscn:JobId>"
            f"<wscn:JobCompletedState>{status.state}</wscn:JobCompletedState>"
            f"<wscn:JobCompletedStateReasons>{reasons}</wscn:JobCompletedStateReasons>"
            f"<wscn:JobName>{escape(event.name)}</wscn:JobName>"
            f"<wscn:JobOriginatingUserName>{escape(event.user)}</wscn:JobOriginatingUserName>"
            f"<wscn:ScansCompleted>{status.scans_completed}</wscn:ScansCompleted>"
            f"<wscn:JobCompletedTime>{status.completed}</wscn:JobCompletedTime></wscn:JobEndState>"
            "</wscn:JobEndStateEvent>")
