"""Folders of captures for tests."""

from tests.messages import create_scan_job, created_job, fault
from wsdgateway.exchangelog.folder import CaptureFolder, capture_name, read_folder
from wsdgateway.exchangelog.har import write_har
from wsdgateway.exchangelog.images import LeftOut
from wsdgateway.exchangelog.tape import DEVICE, Message
from wsdgateway.replay.recording import read_recording

IMAGE = LeftOut(5000, "0" * 64, "JPEG", 40, 30, 150)


def http(body, first=b"POST /scan HTTP/1.1", host=b"scanner"):
    return first + b"\r\nHost: " + host + b"\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n" % (
        len(body)) + body


class Folder:
    def __init__(self, path):
        self.path, self.number = path, 0

    def add(self, operation, request, response=b"", *, side=DEVICE, scanner="s", took=0.01):
        self.number += 1
        name = capture_name(1795430051.0 + self.number, self.number, scanner, operation, took)
        CaptureFolder(self.path, 1 << 30).finish(str(self.number), name, [
            Message(side, True, request), Message(side, False, response)])
        return self

    def read(self, scanner=None):
        return read_recording(read_folder(self.path), scanner)

    def har(self):
        return "".join(write_har(read_folder(self.path)))


def job(folder, job_id, source, form, status=b"HTTP/1.1 200 OK"):
    request = create_scan_job().replace(b"Platen", source).replace(
        b"</wscn:InputSource>", b"</wscn:InputSource><wscn:Format>%s</wscn:Format>" % form)
    answer = created_job(job_id) if b"200" in status else fault("wscn:ServerErrorNotAcceptingJobs")
    return folder.add("CreateScanJob", http(request), http(answer, status))
