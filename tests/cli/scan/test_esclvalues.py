"""Tests of cli.scan.esclvalues: eSCL documents as values of WS-Scan, and parameters as ScanSettings."""

import pytest

from wsdgateway.cli.scan.esclvalues import condition_of, job_of, read_capabilities, settings_of
from wsdgateway.escl.reading import PWG, SCAN, Unreadable
from wsdgateway.escl.scannerstatus import ScannerStatus
from wsdgateway.escl.scansettings import ScanRegion, ScanSettings
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.scannerconfiguration import ADF, ADF_DUPLEX, PLATEN, SourceOffer

# As an older device writes them: the eSCL namespace as the default, and one profile to which the sources refer.
CAPABILITIES = f"""<ScannerCapabilities xmlns="{SCAN}" xmlns:p="{PWG}"><p:Version>2.0</p:Version>
<p:MakeAndModel>Example 7</p:MakeAndModel><SettingProfiles><SettingProfile name="0"><ColorModes>
<ColorMode>Grayscale8</ColorMode><ColorMode>RGB24</ColorMode></ColorModes><DocumentFormats>
<p:DocumentFormat>application/pdf</p:DocumentFormat><p:DocumentFormat>image/png</p:DocumentFormat>
<p:DocumentFormat>image/jpeg</p:DocumentFormat></DocumentFormats><SupportedResolutions><DiscreteResolutions>
<DiscreteResolution><XResolution>300</XResolution><YResolution>300</YResolution></DiscreteResolution>
<DiscreteResolution><XResolution>600</XResolution><YResolution>300</YResolution></DiscreteResolution>
</DiscreteResolutions></SupportedResolutions></SettingProfile></SettingProfiles><Platen><PlatenInputCaps>
<MinWidth>15</MinWidth><MaxWidth>2551</MaxWidth><MinHeight>15</MinHeight><MaxHeight>3508</MaxHeight><SettingProfiles>
<SettingProfile ref="0"/></SettingProfiles></PlatenInputCaps></Platen><Adf><AdfDuplexInputCaps><MaxWidth>2550</MaxWidth>
<MaxHeight>4200</MaxHeight></AdfDuplexInputCaps></Adf></ScannerCapabilities>""".encode()


def status(state="Idle", adf=None):
    return ScannerStatus(state, adf)


def test_capabilities_of_an_older_device():
    found = read_capabilities(CAPABILITIES)
    assert (found.version, found.names.name, found.names.model) == ("2.0", "Example 7", "Example 7")
    configuration = found.capabilities.configuration
    assert configuration.formats == ("jfif", "png")
    assert configuration.sources == {
        PLATEN: SourceOffer((300,), ("Grayscale8", "RGB24"), (8503, 11693), (50, 50)),
        ADF_DUPLEX: SourceOffer((300,), ("Grayscale8", "RGB24"), (8500, 14000), (3, 3))}


def test_another_document_is_unreadable():
    with pytest.raises(Unreadable, match="must be ScannerCapabilities"):
        read_capabilities(f'<s:ScannerStatus xmlns:s="{SCAN}"/>'.encode())


@pytest.mark.parametrize(("given", "state", "reasons"), [
    (status(), "Idle", ()), (status("Testing"), "Stopped", ("Calibrating",)), (status(""), None, ()),
    (status("Stopped", "ScannerAdfJam"), "Stopped", ("MediaJam",)),
    (status(adf="ScannerAdfEmpty"), "Idle", ("InputTrayEmpty",)),
    (status(adf="ScannerAdfDoorOpen"), "Idle", ("CoverOpen",)), (status(adf="ScannerAdfLoaded"), "Idle", ())])
def test_conditions(given, state, reasons):
    found = condition_of(given)
    assert (found.state, found.state_reasons) == (state, reasons)


def test_a_job_is_found_by_the_end_of_its_address():
    listed = ScannerStatus.read(
        f'<s:ScannerStatus xmlns:s="{SCAN}" xmlns:p="{PWG}"><s:Jobs><s:JobInfo>'
        "<p:JobUri>http://x/eSCL/ScanJobs/7/</p:JobUri><p:JobState>Aborted</p:JobState><p:JobStateReasons><p:JobStateReason>AbortedBySystem</p:JobStateReason>"
        "</p:JobStateReasons></s:JobInfo></s:Jobs></s:ScannerStatus>".encode())
    found = job_of(listed, "/eSCL/ScanJobs/7")
    assert (found.job_id, found.state, found.reasons) == ("/eSCL/ScanJobs/7", "Aborted", ("AbortedBySystem",))
    assert job_of(listed, "/eSCL/ScanJobs/17") is None


@pytest.mark.parametrize(("source", "settings"), [
    (PLATEN, ScanSettings("2.0", source="Platen")), (ADF, ScanSettings("2.0", source="Feeder", duplex=False)),
    (ADF_DUPLEX, ScanSettings("2.0", source="Feeder", duplex=True))])
def test_settings(source, settings):
    assert settings_of(DocumentParameters(source=source), "2.0") == settings


def test_settings_with_all_parameters():
    found = settings_of(DocumentParameters(source=PLATEN, format="exif", color="RGB24", resolution=300,
                                           size=(8503, 11693)), "2.63")
    assert found == ScanSettings(
        "2.63", region=ScanRegion(width=2551, height=3508), format="image/jpeg", source="Platen", x_resolution=300,
        y_resolution=300, color_mode="RGB24")
