"""Scanners' configurations and default tickets for tests, in the style of devices in the field."""

from wsdgateway.scan.documentparameters import DocumentParameters, Exposure
from wsdgateway.scan.scannerconfiguration import ADF, ADF_DUPLEX, PLATEN, ScannerConfiguration, SourceOffer

COLORS = ("BlackAndWhite1", "Grayscale8", "RGB24")
GLASS = SourceOffer((100, 200, 300, 600), COLORS, (8500, 11700), (1969, 1969), (600, 1200))
FEEDER = SourceOffer((100, 200, 300), COLORS, (8500, 14000), (10, 10), (600, 600))
# A multifunction device with everything.
FULL = ScannerConfiguration(
    ("exif", "jfif", "pdf-a", "tiff-single-g4", "tiff-single-uncompressed", "xps"),
    {PLATEN: GLASS, ADF: FEEDER, ADF_DUPLEX: FEEDER}, False, (20, 100), ("Auto", "Text", "Photo", "Mixed"), True, True)
DEFAULT = DocumentParameters("jfif", "Platen", 1, "RGB24", 200, (8270, 11690), exposure=Exposure(), scaling=(100, 100),
                             rotation=0)
# A small one: JPEG, one quality, one colour mode.
SMALL = ScannerConfiguration(("exif",), {PLATEN: SourceOffer((100, 300), ("RGB24",), (8500, 11700), (556, 556))}, False,
                             (100, 100), ("Auto",))
