"""RetrieveImage, and an image as a scanner sends it."""

from tests.messages import job_request

IMAGE = job_request("RetrieveImage")
BOUNDARY = b"b-o-u-n-d-a-r-y"
MTOM = b'multipart/related; type="application/xop+xml"; boundary="b-o-u-n-d-a-r-y"; start="<0>"'
PARTS = (b"--" + BOUNDARY + b"\r\nContent-Type: application/xop+xml\r\n\r\n<x/>\r\n--" + BOUNDARY
         + b"\r\nContent-Type: image/jpeg\r\nContent-Id: <1>\r\n\r\n")
CLOSE = b"\r\n--" + BOUNDARY + b"--\r\n"
MULTIPART = PARTS + b"\xff\xd8" + bytes(range(256)) * 40 + CLOSE
