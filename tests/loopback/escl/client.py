"""A client of the eSCL service of a gateway's only scanner, and the documents that it sends."""

import re

from tests.peers import connect
from tests.ports import free_port

PWG, SCAN = "http://www.pwg.org/schemas/2010/12/sm", "http://schemas.hp.com/imaging/escl/2011/05/03"
AIRSCAN = b"Content-Type: text/xml\r\nConnection: close\r\n"
SANE_ESCL = b"Accept: */*\r\nContent-Type: application/x-www-form-urlencoded\r\n"


def section(folder, **more):
    """Returns an `[escl]` section with a spool in the folder and a free port for one scanner."""
    return {"announce": False, "ports": str(free_port()), "spool": str(folder / "spool"), **more}


def settings(source="Platen", media="image/jpeg", resolution=75, *, version="2.63", size=(600, 900), more=""):
    """Returns ScanSettings for a small page."""
    width, height = size
    return (f'<?xml version="1.0" encoding="UTF-8"?><scan:ScanSettings xmlns:pwg="{PWG}" xmlns:scan="{SCAN}">'
            f"<pwg:Version>{version}</pwg:Version><pwg:ScanRegions><pwg:ScanRegion>"
            "<pwg:ContentRegionUnits>escl:ThreeHundredthsOfInches</pwg:ContentRegionUnits>"
            f"<pwg:XOffset>0</pwg:XOffset><pwg:YOffset>0</pwg:YOffset><pwg:Width>{width}</pwg:Width>"
            f"<pwg:Height>{height}</pwg:Height></pwg:ScanRegion></pwg:ScanRegions>"
            f"<pwg:InputSource>{source}</pwg:InputSource><scan:ColorMode>RGB24</scan:ColorMode>"
            f"<scan:XResolution>{resolution}</scan:XResolution><scan:YResolution>{resolution}</scan:YResolution>"
            f"<pwg:DocumentFormat>{media}</pwg:DocumentFormat><scan:DocumentFormatExt>{media}</scan:DocumentFormatExt>"
            f"{more}</scan:ScanSettings>").encode()


class Answered:
    """An answer: status, reason phrase, header fields in lower case, body."""

    def __init__(self, head, body):
        self.status, self.reason, self.body = head.status, head.reason.decode(), body
        self.headers = {name.decode().lower(): value.decode() for name, value in head.headers}

    def value(self, name):
        """Returns the first value of an element in the body, by its local name."""
        found = re.search(rb"<(?:scan|pwg):%s>([^<]*)<" % name.encode(), self.body)
        return None if found is None else found[1].decode()

    def values(self, name):
        return [value.decode() for value in re.findall(rb"<(?:scan|pwg):%s>([^<]*)<" % name.encode(), self.body)]


class Client:
    """Sends requests to the service at a port and root, each on a connection of its own."""

    def __init__(self, port, root="/eSCL", headers=AIRSCAN, host=b"127.0.0.1", tls=None):
        self.port, self.root, self.headers, self.host, self.tls = port, root, headers, host, tls

    async def send(self, method, path, body=b"", headers=b""):
        """Sends a request, and returns the connection."""
        connection = await connect(self.port, self.tls)
        connection.send(method.encode() + b" " + path.encode() + b" HTTP/1.1\r\nHost: " + self.host + b"\r\n"
                        + self.headers + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return connection

    async def ask(self, method, path, body=b"", headers=b""):
        connection = await self.send(method, path, body, headers)
        answered = Answered(*await connection.answer())
        if self.tls is None:
            connection.transport.abortConnection()
        else:  # without close_notify, as sane-airscan does
            connection.transport.transport.loseConnection()
        await connection.end()
        if answered.status != 200:
            assert answered.body == b""
            assert answered.headers["content-length"] == "0"
        return answered

    async def get(self, name, headers=b""):
        return await self.ask("GET", f"{self.root}/{name}", headers=headers)

    async def scan(self, body=None):
        """Posts a job, which must succeed; returns its path."""
        answered = await self.ask("POST", f"{self.root}/ScanJobs", settings() if body is None else body)
        assert answered.status == 201, answered.status
        assert re.fullmatch(re.escape(self.root) + r"/ScanJobs/[0-9a-f-]{36}", answered.headers["location"])
        return answered.headers["location"]

    async def next(self, job):
        return await self.ask("GET", f"{job}/NextDocument")

    async def pages(self, job):
        """Fetches pages until there are no more; returns them and the last status."""
        found = []
        while True:
            answered = await self.next(job)
            if answered.status == 503:
                continue
            if answered.status != 200:
                return found, answered.status
            found.append(answered)


def client(service, **more):
    """Returns a client of the scanner's own port, without TLS."""
    [listener] = [one for one in service.escl_ports.listeners if one.identity is None]
    return Client(listener.address[1], **more)
