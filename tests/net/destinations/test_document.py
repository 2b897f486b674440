"""Tests of net.destinations.document: PDFs of several pages, also by the process that makes them."""

import io
import json
import os
import re
import subprocess
import sys

import pytest
from PIL import Image

from wsdgateway.net.destinations.document import Assembled, assemble, read_answer, request


def image(folder, name, kind="JPEG", mode="RGB", size=(300, 600)):
    path = folder / name
    Image.new(mode, size, 1).save(path, kind)
    return path


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "out.pdf"
    path.touch()
    return path


def pages_of(data):
    return len(re.findall(rb"/Type\s*/Page\b", data))


def test_images_of_every_kind_become_pages_of_their_size(tmp_path, target):
    pages = [image(tmp_path, "1"), image(tmp_path, "2", "PNG", "L"), image(tmp_path, "3", "TIFF", "1"),
             image(tmp_path, "4", "BMP")]
    assert assemble(pages, target, 300, 0) == Assembled({})
    data = target.read_bytes()
    assert pages_of(data) == 4
    assert len(re.findall(rb"/MediaBox \[ ?0 0 72(?:\.0)? 144(?:\.0)? ?\]", data)) == 4
    assert pages[0].read_bytes() in data  # a JPEG image is not converted


def test_a_damaged_image_is_left_out(tmp_path, target):
    pages = [image(tmp_path, "1"), tmp_path / "2", image(tmp_path, "3")]
    pages[1].write_bytes(b"no image")
    done = assemble(pages, target, 300, 0)
    assert list(done.left_out) == [1]
    assert pages_of(target.read_bytes()) == 2


def test_without_a_usable_image_the_file_stays_empty(tmp_path, target):
    (tmp_path / "1").write_bytes(b"no image")
    assert list(assemble([tmp_path / "1"], target, 300, 0).left_out) == [0]


def test_an_error_of_the_disk(tmp_path, target):
    with pytest.raises(FileNotFoundError):
        assemble([tmp_path / "gone"], target, 300, 0)


def run(asked):
    done = subprocess.run([sys.executable, "-m", "wsdgateway.net.destinations.document"], input=asked,
                          capture_output=True, timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_process(tmp_path, target):
    (tmp_path / "2").write_bytes(b"no image")
    done = read_answer(run(request([image(tmp_path, "1"), tmp_path / "2"], target, 300, 0)))
    assert list(done.left_out) == [1]
    assert pages_of(target.read_bytes()) == 1
    with pytest.raises(OSError, match="No such file") as caught:
        read_answer(run(request([tmp_path / "gone"], target, 300, 0)))
    assert caught.value.errno == 2


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"left_out": 5}', b"\xff"])
def test_what_is_no_answer(answer):
    with pytest.raises(ValueError):
        read_answer(answer)


def test_an_answer_is_json():
    assert read_answer(json.dumps({"left_out": {"0": "x"}}).encode()) == Assembled({0: "x"})
    assert io.BytesIO(request([], "t", 1, 2)).read().startswith(b"{")
