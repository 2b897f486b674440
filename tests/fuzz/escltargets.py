"""Fuzz targets for the code that reads eSCL: settings and other documents, requests, and what is made of them.

For any bytes, a target raises only `AssertionError`, if a guarantee is broken.
"""

import attrs

from tests.bridge.frontends.escl.offers import DEFAULT, FULL, SMALL
from wsdgateway.bridge.frontends.escl.announcing import service_of
from wsdgateway.bridge.frontends.escl.bufferinfo import buffer_info_of
from wsdgateway.bridge.frontends.escl.capabilities import Identity, capabilities_of
from wsdgateway.bridge.frontends.escl.requests import EsclRequest, read_request
from wsdgateway.bridge.frontends.escl.tickets import Conflict, ticket_of
from wsdgateway.dnssd.scannerservice import txt_of
from wsdgateway.escl.reading import MAX_BODY, Unreadable
from wsdgateway.escl.scanbufferinfo import ScanBufferInfo
from wsdgateway.escl.scanimageinfo import ScanImageInfo
from wsdgateway.escl.scannercapabilities import ScannerCapabilities
from wsdgateway.escl.scannerstatus import ScannerStatus
from wsdgateway.escl.scansettings import ScanSettings
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.scanticket import ScanTicket


def escl_settings(data):
    """Settings that are read can be written and read alike, and become a ticket inside the scanner's area."""
    try:
        settings = ScanSettings.read(data)
    except Unreadable:
        return
    assert ScanSettings.read(settings.write()) == settings
    for configuration, default in ((FULL, DEFAULT), (SMALL, DocumentParameters())):
        planned = ticket_of(settings, configuration, default, client="192.0.2.7")
        if isinstance(planned, Conflict):
            assert planned.reason
            continue
        assert all(ScanTicket.read(ticket.write()) == ticket for ticket in planned.tickets)
        wanted = planned.parameters
        info = buffer_info_of(settings, planned)
        assert ScanBufferInfo.read(info.write()) == info
        again = ticket_of(info.settings, configuration, default, client="192.0.2.7")
        assert not isinstance(again, Conflict) and again.media_type == planned.media_type
        offer = configuration.sources[wanted.source]
        assert wanted.color in offer.colors and wanted.resolution in offer.resolutions
        for way in (0, 1):
            assert wanted.offset[way] >= 0 and wanted.size[way] >= offer.minimum[way]
            assert wanted.offset[way] + wanted.size[way] <= offer.maximum[way]


def escl_documents(data):
    """Documents of scanners are read without errors and can be written."""
    for wire in (ScannerCapabilities, ScannerStatus, ScanImageInfo, ScanBufferInfo):
        try:
            found = wire.read(data)
            again = wire.read(found.write())
        except Unreadable:
            continue
        if isinstance(found, ScannerCapabilities):
            txt_of(service_of(found, "a", "A", 8400), "192.0.2.5")
            found, again = (attrs.evolve(one, uuid=None) for one in (found, again))
        if isinstance(found, ScannerStatus):
            assert again.jobs == found.jobs[:len(again.jobs)]
            found, again = (attrs.evolve(one, jobs=()) for one in (found, again))
        assert again == found


def escl_requests(data):
    """A line with a method and a path is a request, or an answer without body."""
    method, _, rest = data.partition(b"\n")[0].partition(b" ")
    found = read_request(method, rest)
    if isinstance(found, EsclRequest):
        assert "/" not in found.job_id and len(found.job_id) <= 64
    else:
        assert found.status in (404, 405) and found.body == b""


def offered_by_escl(configuration):
    """Whatever a scanner offers, it has capabilities that are written and read alike, or none."""
    found = capabilities_of(Identity("m", "n", "e"), configuration, DocumentParameters())
    written = b"" if found is None else found.write()
    if 0 < len(written) <= MAX_BODY:  # hundreds of resolutions, for each source, are more
        assert ScannerCapabilities.read(written) == found
