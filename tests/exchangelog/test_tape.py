"""Tests of exchangelog.tape: recording of both sides of an exchange, with or without images."""

import hashlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wsdgateway.exchangelog.images import read_note
from wsdgateway.exchangelog.masking import Masks
from wsdgateway.exchangelog.reading import read_message
from wsdgateway.exchangelog.tape import CLIENT, DEVICE, EVENT, SPILL, Tape

REQUEST = b"POST /x HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n"
SOAP = b"<e><JobToken>s3cret</JobToken></e>"


def jpeg(size=(40, 30)):
    file = BytesIO()
    Image.effect_noise(size, 100).save(file, "JPEG", dpi=(300, 300))
    return file.getvalue()


IMAGE = jpeg()


def multipart(image=IMAGE):
    return (b"--b\r\nContent-Type: application/xop+xml\r\n\r\n" + SOAP + b"\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n"
            + image + b"\r\n--b--\r\n")


def answer(body, chunk=0):
    head = b'HTTP/1.1 200 OK\r\nContent-Type: multipart/related; boundary="b"\r\n'
    if not chunk:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    pieces = [body[at:at + chunk] for at in range(0, len(body), chunk)]
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Keeper:
    def __init__(self):
        self.disk = {}

    def spill(self, tape, suffix, data):
        self.disk[suffix] = self.disk.get(suffix, b"") + data


def tape(*, images=False, masks=None):
    keeper = Keeper()
    made = Tape(keeper, 1, masks or Masks(), images=images)
    made.keeper = keeper
    return made


def kept(made):
    return {message.suffix: made.keeper.disk.get(message.suffix, b"") + message.raw if message.spilled else message.raw
            for message in made.messages()}


@given(st.integers(1, 3000), st.sampled_from([0, 7, 500]))
def test_an_image_is_left_out_and_described(size, chunk):
    made = tape()
    made.request(CLIENT, REQUEST % b"us")
    raw = answer(multipart(), chunk)
    for at in range(0, len(raw), size):
        made.response(CLIENT, raw[at:at + size])
    response = kept(made)["client.response.http"]
    assert raw.startswith(response.partition(b"\r\n\r\n")[0])
    assert IMAGE[:100] not in response and b"s3cret" not in response
    message = read_message(response, request=False)
    assert message.whole and b"JobToken" in message.envelope
    note = message.parts[1].left_out
    assert (note.length, note.sha256) == (len(IMAGE), hashlib.sha256(IMAGE).hexdigest())
    assert (note.format, note.width, note.height, note.resolution) == ("JPEG", 40, 30, 300)


def test_an_image_without_multipart_is_left_out_too():
    made = tape()
    made.response(CLIENT, b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + IMAGE)
    message = read_message(kept(made)["client.response.http"], request=False)
    assert message.whole and read_note(message.content).length == len(IMAGE)


@given(st.integers(1, len(answer(multipart())) - 1), st.sampled_from([0, 50]), st.booleans())
def test_an_incomplete_answer_is_marked_incomplete(cut, chunk, images):
    made = tape(images=images)
    raw = answer(multipart(), chunk)[:cut]
    made.response(CLIENT, raw)
    assert not read_message(kept(made)["client.response.http"], request=False).whole


@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 202 Accepted\r\n\r\n", b"HTTP/1.1 204 No Content\r\nContent-Type: image/jpeg\r\n\r\n",
    b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n<soap/>",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/xop+xml\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"7\r\n<soap/>\r\n0\r\n\r\n"])
def test_other_answers_are_kept_unchanged(images, raw):
    for size in (1, len(raw)):
        made = tape(images=images)
        for at in range(0, len(raw), size):
            made.response(CLIENT, raw[at:at + size])
        assert kept(made)["client.response.http"] == raw


@pytest.mark.parametrize("kind", [b"", b"Content-Type: application/xop+xml\r\n", b"Content-Type: application/x\r\n"])
def test_an_image_with_another_content_type_is_left_out_too(kind):
    made = tape()
    made.response(CLIENT, b"HTTP/1.1 200 OK\r\n" + kind + b"\r\n" + IMAGE[:1])
    made.response(CLIENT, IMAGE[1:])
    message = read_message(kept(made)["client.response.http"], request=False)
    assert read_note(message.content).length == len(IMAGE)


@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("chunk", [0, 10])
def test_a_fault_in_a_multipart_answer_is_kept(images, chunk):
    body = b"--b\r\nContent-Type: application/xop+xml\r\n\r\n<fault/>\r\n--b--\r\n"
    made = tape(images=images)
    made.response(CLIENT, answer(body, chunk))
    message = read_message(kept(made)["client.response.http"], request=False)
    assert message.whole and message.envelope == b"<fault/>"


@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 200 OK\r\nContent-Type: multipart/related; boundary=b\r\nContent-Length: 10\r\n\r\n--b\r\nbroken off",
    b"HTTP/1.1 200 OK\r\nContent-Type: multipart/related; boundary=b\r\n\r\n" + multipart()[:200],
    b"HTTP/1.1 200 OK\r\nContent-Type: image/x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"no http at all", b"",
])
def test_broken_answers_are_kept_as_far_as_possible(raw):
    made = tape()
    made.response(DEVICE, raw)
    assert kept(made)["device.response.http"].startswith(raw[:14])


@given(st.integers(1, 200_000), st.sampled_from([0, 5000]))
def test_with_images_answers_are_kept_unchanged(size, chunk):
    large = jpeg((600, 600))
    assert len(large) > SPILL
    raw = answer(multipart(large), chunk)
    made = tape(images=True, masks=Masks(secrets=True, identify=True))
    for at in range(0, len(raw), size):
        made.response(CLIENT, raw[at:at + size])
    assert kept(made)["client.response.http"] == raw


@pytest.mark.parametrize("before", [0, SPILL - 100, SPILL - 60, SPILL])
def test_tokens_before_a_large_image_are_masked(before):
    made = tape(images=True)
    raw = answer(multipart(jpeg((600, 600)))).replace(b"<e>", b"<e>" + b" " * before).replace(
        b"Content-Length", b"X-Length")
    for at in range(0, len(raw), 1000):
        made.response(CLIENT, raw[at:at + 1000])
    assert b"s3cret" not in kept(made)["client.response.http"]
    assert len(kept(made)["client.response.http"]) == len(raw)


def test_a_large_answer_without_images_is_masked_to_its_end():
    made = tape(images=True)
    body = b"<e>" + b" " * SPILL * 2 + SOAP + b"</e>"
    made.response(CLIENT, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)
    response = kept(made)["client.response.http"]
    assert len(response) > SPILL and b"s3cret" not in response


def test_the_devices_side_is_kept_only_if_it_differs():
    made = tape()
    for side in (CLIENT, DEVICE):
        made.request(side, REQUEST % b"same")
        made.response(side, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert set(kept(made)) == {"client.request.http", "client.response.http"}
    made.request(DEVICE, REQUEST % b"another")
    made.response(DEVICE, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert set(kept(made)) == {f"{side}.{kind}.http" for side in ("client", "device")
                               for kind in ("request", "response")}


def test_a_request_that_is_sent_again_replaces_the_recording():
    made = tape()
    made.request(DEVICE, REQUEST % b"first")
    made.response(DEVICE, b"HTTP/1.1 5")
    made.request(DEVICE, REQUEST % b"second")
    made.response(DEVICE, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert b"second" in kept(made)["device.request.http"]
    assert kept(made)["device.response.http"].startswith(b"HTTP/1.1 200")


def test_an_event_is_distinguished_from_a_clients_request():
    made = tape()
    made.incoming = EVENT
    made.request(CLIENT, REQUEST % b"us")
    assert set(kept(made)) == {"event.request.http"}


@pytest.mark.parametrize(("steps", "spilled"), [
    ([(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n", 1), (b"<a/>", 1), (b" " * SPILL, 1)], False),
    ([(b"nonsense", 1), (b" " * SPILL, 1)], False),
    ([(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n", 1), (b" " * 10, 1), (b"\xff\xd8\xff\xe0", 1),
      (b"\0" * SPILL, 0), (b"\0", 0)], True),
    ([(answer(multipart()).partition(SOAP)[0], 1), (b"\0" * SPILL, 1), (b"\r\n--b\r\n", 0), (b"\0", 0)], True),
])
def test_the_bytes_of_an_answer_are_in_memory_or_on_disk(steps, spilled):
    """Each step says whether the whole answer is in memory (1) or on disk (0) after it."""
    made, fed = tape(images=True), 0
    for data, in_memory in steps:
        made.response(CLIENT, data)
        fed += len(data)
        assert made.size == fed * in_memory
    [message] = made.messages()
    assert message.spilled is spilled
    whole = kept(made)["client.response.http"]  # an unreadable envelope is masked, byte by byte
    assert len(whole) == fed and whole.startswith(steps[0][0][:20]) and whole.endswith(steps[-1][0])
