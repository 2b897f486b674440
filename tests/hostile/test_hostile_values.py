"""WS-Scan values out of range are left to the scanner: request and answer pass byte for byte."""

import pytest
import pytest_twisted

from tests.hostile.attackedgateway import DONE, FOREIGN_TO, MANAGER, NO_SUCH_JOB, SCAN_PATH
from tests.messages import SCAN, envelope, get_job_elements, job_request
from wsdgateway.scan.jobelements import MAX_NAMES
from wsdgateway.soap.parsing import MAX_NAMESPACES

JOB_IDS = {
    "negative": "-1",
    "zero": "0",
    "beyond-32-bits": "4294967296",
    "huge": "9" * 300,
    "very-huge": "9" * 100000,
    "empty": "",
    "blank": " ",
    "two": "1 2",
    "tab": "1&#9;2",
    "line-break": "1&#13;&#10;2",
    "right-to-left": "\u202e1",
    "path": "../../1",
    "percent": "%00",
    "not-a-number": "NaN",
    "exponent": "1e9",
    "sql": "1' OR '1'='1",
    "emoji": "\U0001f5a8",
    "padded": "00001",
    "signed": "+1",
    "hex": "0x1",
    "fraction": "1.0",
    "full-width": "\uff11",
    "markup": "&lt;wscn:JobId&gt;1",
    "joined": "1\u200d",
    "element": "<wscn:JobId>1</wscn:JobId>7",
    "cdata": "<![CDATA[<1>]]>",
    "combining": "1\u0301",
    "no-break": "1\u00a02",
}
OPERATIONS = ("GetJobElements", "CancelJob", "RetrieveImage")


def operation(name, content="", suffix="Request"):
    """Returns a request of that operation whose To is not the gateway's address."""
    return envelope(f"{SCAN}/{name}", f"<wscn:{name}{suffix}>{content}</wscn:{name}{suffix}>", to=FOREIGN_TO)


def names(*listed, around=""):
    """Returns a GetJobElements of job 1 for these names."""
    wanted = "".join(f"<wscn:Name>{name}</wscn:Name>" for name in listed)
    return operation(
        "GetJobElements", f"<wscn:JobId>1</wscn:JobId><wscn:RequestedElements>{wanted}{around}</wscn:RequestedElements>"
    )


REQUESTS = {
    "names-none": names(),
    "names-many": names(*["wscn:JobStatus"] * (MAX_NAMES + 1)),
    "names-flood": names(*["wscn:JobStatus"] * 20000),
    "names-unknown": names("wscn:Everything"),
    "names-unknown-flood": names(*(f"wscn:N{n}" for n in range(20000))),
    "names-undeclared": names("nobody:JobStatus"),
    "names-two-colons": names("a:wscn:JobStatus"),
    "names-empty": names(""),
    "names-blank": names("  "),
    "names-case": names("wscn:jobstatus"),
    "names-long": names("x" * 100000),
    "names-vendor": names(around="<v:Name xmlns:v='urn:v'>x</v:Name>"),
    "names-include": names(
        around="<i:include xmlns:i='http://www.w3.org/2001/XInclude' href='/etc/passwd' parse='text'/>"
    ),
    "names-nested": names("<wscn:Name>wscn:JobStatus</wscn:Name>x"),
    "names-missing": operation("GetJobElements", "<wscn:JobId>1</wscn:JobId>"),
    "no-job": operation("GetJobElements"),
    "job-of-nobody": operation("GetJobElements", "<JobId>1</JobId>"),
    "no-body": envelope(f"{SCAN}/GetJobElements", to=FOREIGN_TO),
    "text-body": envelope(f"{SCAN}/GetJobElements", "job 1", to=FOREIGN_TO),
    "body-of-vendor": envelope(f"{SCAN}/GetJobElements", "<v:x xmlns:v='urn:v'/>", to=FOREIGN_TO),
    "scanner-names-flood": operation(
        "GetScannerElements",
        "<wscn:RequestedElements>" + "<wscn:Name>wscn:X</wscn:Name>" * 20000 + "</wscn:RequestedElements>",
    ),
    "cancel-nothing": operation("CancelJob"),
    "cancel-all": operation("CancelJob", "<wscn:JobId>*</wscn:JobId>"),
    "image-no-token": operation("RetrieveImage", "<wscn:JobId>8</wscn:JobId>"),
    "image-long-token": operation(
        "RetrieveImage", f"<wscn:JobId>8</wscn:JobId><wscn:JobToken>{'t' * 100000}</wscn:JobToken>"
    ),
    "active-with-content": operation("GetActiveJobs", "<wscn:JobId>1</wscn:JobId>" * 5000),
    "history-bare": operation("GetJobHistory", suffix=""),
    "unknown": operation("FormatDisk"),
    "unknown-2006": operation("GetActiveJobs").replace(b"2006/08", b"2006/01"),
    "action-case": operation("GetActiveJobs").replace(b"scan/GetActiveJobs", b"scan/getactivejobs"),
    "action-slash": operation("GetActiveJobs").replace(b"GetActiveJobs</wsa", b"GetActiveJobs/</wsa"),
}


def ticket(name, value):
    """Returns a ticket with that value; a name with slashes is a path of elements."""
    first, *others = name.split("/")
    for inner in reversed(others):
        value = f"<wscn:{inner}>{value}</wscn:{inner}>"
    return (
        f"<wscn:ScanTicket><wscn:JobDescription><wscn:JobName>x</wscn:JobName></wscn:JobDescription><wscn:DocumentParameters>"
        f"<wscn:{first}>{value}</wscn:{first}></wscn:DocumentParameters></wscn:ScanTicket>"
    )


WIDTH = "MediaSides/MediaFront/ScanRegion/ScanRegionWidth"
TICKETS = {
    "empty": "",
    "empty-ticket": "<wscn:ScanTicket/>",
    "two-tickets": ticket("Format", "jfif") * 2,
    "width-negative": ticket(WIDTH, "-1"),
    "width-zero": ticket(WIDTH, "0"),
    "width-huge": ticket(WIDTH, "9" * 50),
    "width-overflow": ticket(WIDTH, "2147483648"),
    "width-fraction": ticket(WIDTH, "8.5"),
    "width-text": ticket(WIDTH, "A4"),
    "width-exponent": ticket(WIDTH, "1e400"),
    "width-nan": ticket(WIDTH, "NaN"),
    "width-empty": ticket(WIDTH, ""),
    "width-twice": ticket(WIDTH, "1</wscn:ScanRegionWidth><wscn:ScanRegionWidth>2"),
    "offset-negative": ticket("MediaSides/MediaFront/ScanRegion/ScanRegionXOffset", "-99999"),
    "resolution-zero": ticket("MediaSides/MediaFront/Resolution/Width", "0"),
    "resolution-huge": ticket("MediaSides/MediaFront/Resolution/Width", "999999999"),
    "resolution-negative": ticket("MediaSides/MediaFront/Resolution/Height", "-300"),
    "images-negative": ticket("ImagesToTransfer", "-1"),
    "images-many": ticket("ImagesToTransfer", "1000000000"),
    "format-unknown": ticket("Format", "exe"),
    "format-long": ticket("Format", "x" * 100000),
    "format-path": ticket("Format", "../../x"),
    "quality-101": ticket("CompressionQualityFactor", "101"),
    "quality-negative": ticket("CompressionQualityFactor", "-5"),
    "color-unknown": ticket("MediaSides/MediaFront/ColorProcessing", "RGB9999"),
    "input-unknown": ticket("InputSource", "Camera"),
    "content-unknown": ticket("ContentType", "Secret"),
    "scaling": ticket("Scaling/ScalingWidth", "0"),
    "rotation": ticket("Rotation", "45"),
    "exposure": ticket("Exposure/ExposureSettings/Brightness", "-2147483649"),
    "honor": ticket("Format", "jfif").replace("<wscn:Format>", "<wscn:Format wscn:MustHonor='perhaps'>"),
    "override": ticket("Format", "jfif").replace(
        "<wscn:Format>", "<wscn:Format wscn:UsedDefault='7' wscn:Override=''>"
    ),
    "deep": ticket("/".join(["MediaSides"] * 200), "x"),
    "wide": ticket("Format", "jfif") + "<wscn:X/>" * 50000,
    "vendor": ticket("InputSource", "<v:a xmlns:v='urn:v' v:b='c'/>"),
    "name-long": f"<wscn:ScanTicket><wscn:JobName>{'n' * 100000}</wscn:JobName></wscn:ScanTicket>",
    "identifier": "<wscn:ScanIdentifier>x</wscn:ScanIdentifier>" + ticket("Format", "jfif"),
    "token-unknown": "<wscn:DestinationToken>nobody's</wscn:DestinationToken>" + ticket("Format", "jfif"),
    "token-long": f"<wscn:DestinationToken>{'t' * 100000}</wscn:DestinationToken>",
    "token-twice": "<wscn:DestinationToken>a</wscn:DestinationToken><wscn:DestinationToken>b</wscn:DestinationToken>",
    "comment": ticket("Format", "jf<!-- -->if"),
    "cdata": ticket("Format", "<![CDATA[jfif]]>"),
    "breaks": ticket("Format", "\n jfif \r\n"),
}


@pytest.fixture
def refusing(attacked):
    """The attacked gateway with a scanner that refuses every request."""
    attacked.answer = lambda asked: asked.answer(NO_SUCH_JOB, b"500 No")
    yield attacked
    attacked.answer = lambda asked: asked.answer(DONE)


async def check_unchanged(gateway, path, message):
    """Checks that the message and the scanner's answer pass unchanged."""
    outcome = await gateway.send(path, message)
    assert [request.body for request in outcome.reached] == [message]
    assert (outcome.status, outcome.body) == (500, NO_SUCH_JOB)


@pytest.mark.parametrize("job_id", JOB_IDS.values(), ids=JOB_IDS)
@pytest.mark.parametrize("name", OPERATIONS)
@pytest_twisted.ensureDeferred
async def test_job_ids(refusing, name, job_id):
    is_read = name == "GetJobElements"
    message = get_job_elements(job_id, to=FOREIGN_TO) if is_read else job_request(name, job_id, to=FOREIGN_TO)
    await check_unchanged(refusing, SCAN_PATH, message)


@pytest.mark.parametrize("message", REQUESTS.values(), ids=REQUESTS)
@pytest_twisted.ensureDeferred
async def test_requests(refusing, message):
    await check_unchanged(refusing, SCAN_PATH, message)


@pytest.mark.parametrize("content", TICKETS.values(), ids=TICKETS)
@pytest.mark.parametrize("name", ["CreateScanJob", "ValidateScanTicket"])
@pytest_twisted.ensureDeferred
async def test_tickets(refusing, name, content):
    await check_unchanged(refusing, MANAGER, operation(name, content))


@pytest_twisted.ensureDeferred
async def test_a_flood_of_names_and_prefixes_is_not_parsed(refusing):
    prefixes = b" ".join(b"xmlns:n%d='u'" % number for number in range(MAX_NAMESPACES - 20))
    flood = names(*["wscn:JobStatus"] * 20000)
    await check_unchanged(refusing, SCAN_PATH, flood.replace(b"<soap:Envelope ", b"<soap:Envelope " + prefixes + b" "))
