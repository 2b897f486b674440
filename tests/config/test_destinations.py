"""Tests of config.destinations and config.destinationchecks: the sections [[destination]]."""

from pathlib import Path

import pytest

from tests.config.configurations import LISTEN, SCANNER, problems
from wsdgateway.config.destinations import MAX_ON_PANEL, overlap
from wsdgateway.config.reading import ConfigError, make_config, read_config
from wsdgateway.config.remarks import remarks

FOLDER = {"name": "Paperless", "folder": "/srv/consume"}
UPLOAD = {"name": "Paperless", "upload": "http://127.0.0.1:8000/api/documents/post_document/"}


def config(*destinations, **sections):
    return make_config({"listen": [LISTEN], "scanner": [SCANNER], "destination": list(destinations), **sections}, "g")


def test_the_defaults():
    [one] = config(FOLDER).destination
    assert (one.scanners, one.upload, one.upload_field, one.command, one.command_timeout) == (
        ("*",), None, "document", (), 60.0)
    assert (one.file, one.format, one.source, one.resolution, one.color) == (
        "{scanner}-{date}-{time}-{number}", "pdf", "auto", None, None)
    assert config().destination == ()


def test_every_key(cwd):
    (cwd / "token").write_text("Authorization: Token 0123456789\n")
    (cwd / "token").chmod(0o640)
    [one] = config({
        **FOLDER, **UPLOAD, "scanners": ["front-*"], "upload_field": "file", "upload_header_file": "token",
        "command": ["/bin/after", "{path}", "{scanner}", "{destination}", "{pages}"], "command_timeout": 5,
        "file": "{destination} {job}", "format": "tiff", "source": "duplex", "resolution": 200, "color": "bw",
    }).destination
    assert one.command == ("/bin/after", "{path}", "{scanner}", "{destination}", "{pages}")
    assert one.is_for("front-desk") and not one.is_for("cellar")


@pytest.mark.parametrize(("keys", "said"), [
    ({"name": ""}, 'name = "": must be a name for the panel of 1 to 64 printable characters'),
    ({"name": "x" * 65}, "must be a name for the panel"), ({"name": " Mail"}, "must be a name for the panel"),
    ({"name": "a\nb"}, "must be a name for the panel"), ({"name": 7}, "must be a name for the panel"),
    ({"scanners": []}, "must be a list of scanners' names"), ({"folder": ""}, "must be a non-empty text"),
    ({"upload": "ftp://x"}, "must be an http:// or https:// URL"),
    *(({"upload": f"http://{host}:8000/"}, "must be a URL whose host is an IP address, or a name of letters, digits")
      for host in ("paperless_web", "xn--.invalid", "a-.example", "\u2603.example")),
    ({"upload_field": "a b"}, "must be the name of a form field"),
    ({"command": []}, "must be a list of a program and its arguments"),
    ({"command": "/bin/x"}, "must be a list of a program and its arguments"),
    ({"command": ["after-scan"]}, "the program must be given by its whole path"),
    ({"command": ["/bin/x", "{file}"]}, '"{file}" must be one of {path}, {scanner}, {destination}, {pages}'),
    ({"command_timeout": 0}, "must be a number of seconds between 0.01 and 86400"),
    ({"file": ""}, "must be a file name without extension"), ({"file": "a/b"}, "without /"),
    ({"file": "../{date}"}, "without /"), ({"file": ".{date}"}, "not beginning with a dot"),
    ({"file": "{page}"}, '"{page}" must be one of {scanner}, {date}, {time}, {number}, {destination}, {job}'),
    ({"file": "x" * 129}, "at most 128 characters"), ({"file": "a\0b"}, "must be a file name"),
    ({"format": "PDF"}, 'must be "pdf", "jpeg", "png" or "tiff"'),
    ({"source": "feeder"}, 'must be "auto", "platen", "adf" or "duplex"'),
    ({"resolution": 5}, "must be a whole number between 10 and 9600"),
    ({"color": "rgb"}, 'must be "color", "gray" or "bw"'), ({"colour": "gray"}, "unknown key; did you mean color?"),
])
def test_a_wrong_value(keys, said):
    [line] = problems(destination=[{**FOLDER, **keys}])
    name = {**FOLDER, **keys}["name"]
    label = "1" if "name = " in said or "name for the panel" in said else f'"{name}"'
    assert line.startswith(f"g.toml: [[destination]] {label} ") and said in line


@pytest.mark.parametrize(("keys", "said"), [
    ({}, '[[destination]] "Paperless" has no place for its files; give folder, upload or both'),
    ({"upload": UPLOAD["upload"], "command": ["/bin/x"]}, '[[destination]] "Paperless": command needs folder'),
])
def test_keys_that_need_others(keys, said):
    [line] = problems(destination=[{"name": "Paperless", **keys}])
    assert said in line


def test_a_name_occurs_once_on_a_panel(tmp_path):
    file = tmp_path / "g.toml"
    file.write_text('[[listen]]\nendpoint = "tcp:5357"\n[[scanner]]\nname = "front-desk"\nscan = "http://192.0.2.1/"\n'
                    '[[destination]]\nname = "Mail"\nfolder = "a"\n'
                    '[[destination]]\nscanners = ["front-*"]\nname = "Mail"\nfolder = "b"\n')
    with pytest.raises(ConfigError) as caught:
        read_config(str(file))
    assert caught.value.problems == [
        f"{file}:11: [[destination]] \"Mail\" name = \"Mail\": must be unique on each scanner's panel; another "
        "[[destination]] has the same name there in line 7"]


def test_the_same_name_on_other_panels():
    cellar = {"name": "cellar", "scan": "http://192.0.2.2/scan"}
    both = [{**FOLDER, "scanners": ["front-desk"]}, {**FOLDER, "scanners": ["cell*"]}]
    assert len(config(*both, scanner=[SCANNER, cellar]).destination) == 2
    assert len(config(*both, discovery={"adopt": True}).destination) == 2
    both[0]["scanners"] = ["*-1"]
    assert len(config(*both).destination) == 2
    [line] = problems(destination=both, discovery={"adopt": True})
    assert "must be unique on each scanner's panel" in line


@pytest.mark.parametrize(("one", "other", "shared"), [
    ("a", "a", True), ("a", "b", False), ("*", "x", True), ("*", "*", True), ("a*", "*b", True), ("a*c", "ab*", True),
    ("a?", "ab", True), ("a?", "a", False), ("a*", "b*", False), ("*a", "*b", False), ("a*", "a", True),
    ("??", "?", False), ("*?*", "", False),
])
def test_patterns_that_match_a_common_name(one, other, shared):
    assert overlap(one, other) is overlap(other, one) is shared


def test_too_many_on_one_panel():
    many = [{**FOLDER, "name": str(number)} for number in range(MAX_ON_PANEL + 1)]
    assert len(config(*many[1:]).destination) == MAX_ON_PANEL
    [line] = problems(destination=many, scanner=[SCANNER])
    assert f"the panel of front-desk shows at most {MAX_ON_PANEL} destinations" in line


@pytest.mark.parametrize(("keys", "scanner", "said"), [
    ({"scanners": ["cellar"]}, {}, '[[destination]] "Paperless" scanners: pattern cellar matches no [[scanner]]'),
    ({}, {"events": "off"}, 'the panel of front-desk does not show it, since [[scanner]] front-desk has events'),
    ({"upload_header_file": "x"}, {}, '[[destination]] "Paperless" upload_header_file has no effect without upload'),
])
def test_remarks(keys, scanner, said):
    found = config({**FOLDER, **keys}, scanner=[{**SCANNER, **scanner}])
    [remark] = remarks(found)
    assert said in remark.text
    assert remarks(config(FOLDER)) == []


@pytest.mark.parametrize(("state", "folder"), [
    ("sqlite:gateway.sqlite", "uploads"), ("sqlite:/var/lib/w/g.sqlite", "/var/lib/w/uploads"), ("memory:", "uploads")])
def test_the_upload_queue_is_beside_the_store(state, folder):
    found = config(gateway={"state": state})
    assert found.upload_folder == found.folder / folder
    assert config(uploads={"folder": "/srv/queue"}).upload_folder == Path("/srv/queue")
    assert (found.uploads.size, found.uploads.age) == (1073741824, 604800.0)


@pytest.mark.parametrize(("keys", "said"), [
    ({"size": 1000}, "[uploads] size = 1000: must be a whole number between 1048576 and "),
    ({"age": 1}, "[uploads] age = 1: must be a number of seconds between 60 and "),
    ({"folder": ""}, '[uploads] folder = "": must be a non-empty text'),
    ({"files": 1}, "[uploads] files: unknown key; ")])
def test_mistakes_in_uploads(keys, said):
    [problem] = problems(uploads=keys)
    assert said in problem


@pytest.mark.parametrize(("url", "is_remarked"), [
    ("http://192.0.2.9/", True), ("http://paperless.example/", True), ("https://paperless.example/", False),
    ("http://localhost:8000/", False), ("http://127.0.0.1:8000/", False), ("http://[::1]:8000/", False)])
def test_a_secret_that_is_sent_unencrypted(cwd, url, is_remarked):
    (cwd / "token").write_text("Authorization: Token 0123456789\n")
    (cwd / "token").chmod(0o640)
    found = remarks(config({**UPLOAD, "upload": url, "upload_header_file": "token"}))
    assert [remark.path for remark in found] == [("destination", 0, "upload")] * is_remarked
    assert all("are sent unencrypted" in remark.text and "0123456789" not in remark.text for remark in found)
