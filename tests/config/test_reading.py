"""Tests of config.reading: files that are not TOML, have a wrong shape, or contain several errors."""

import os
from pathlib import Path

import pytest

from tests.config.configurations import LISTEN, SCANNER, problems
from wsdgateway.config.reading import (
    MAX_FILE,
    ConfigError,
    find_config,
    make_config,
    read_config,
    read_config_again,
)
from wsdgateway.config.remarks import remarks


def test_a_scanner_needs_an_address_and_a_name():
    lines = problems(scanner=[{"name": "a"}, {"scan": "http://x/"}])
    assert "g.toml: [[scanner]] a has no address; give scan, device or uuid" in lines
    assert any(line.startswith("g.toml: [[scanner]] 2: name is missing; it must be a name of") for line in lines)


@pytest.mark.parametrize(("data", "message"), [
    ({}, r"there is no \[\[listen\]\] section"), ({"listen": []}, r"there is no \[\[listen\]\] section"),
    ({"listen": [{}]}, r"\[\[listen\]\] 1: endpoint is missing; it must be a Twisted server endpoint")])
def test_a_listener_is_needed(data, message):
    with pytest.raises(ConfigError, match=message):
        make_config(data, "g.toml")


@pytest.mark.parametrize(("sections", "message"), [
    ({"scanner": [{**SCANNER, "max_conections": 1}]},
     "[[scanner]] front-desk max_conections: unknown key; did you mean max_connections?"),
    ({"gateway": {"colour": 1}}, "[gateway] colour: unknown key; the keys are name, state, password_file, "
                                                                     "log_level, log_format"),
    ({"gateway": {"STATE": 1}}, "[gateway] STATE: unknown key; did you mean state?"),
    ({"scaner": [SCANNER]}, "[scaner]: unknown section; did you mean [[scanner]]?"),
    ({"chache": {}}, "[chache]: unknown section; did you mean [cache]?"),
    ({"nonsense": {}}, "[nonsense]: unknown section; the sections are [gateway], [cache], [events], [discovery], "
                       "[limits], [exchange_log], [admin], [escl], [uploads], [cluster], [[listen]], [[scanner]], "
                       "[[allow]], [[destination]]"),
    ({"scanner": SCANNER}, "[scanner]: must be written as a section [[scanner]], in double brackets"),
    ({"allow": 5}, "allow = 5: must be written as a section [[allow]], in double brackets"),
    ({"cache": 5}, "cache = 5: must be a section that begins with [cache]"),
    ({"allow": [5]}, "allow = 5: must be a section that begins with [[allow]]")])
def test_an_unknown_or_misplaced_name_is_shown_with_the_right_one(sections, message):
    assert problems(**sections) == [f"g.toml: {message}"]


@pytest.mark.parametrize("data", [
    {"listen": 5}, {"listen": {"endpoint": "tcp:1"}}, {"listen": [5]}, {"listen": [LISTEN], "cache": 5},
    {"listen": [LISTEN], "scanner": "x"}, {"listen": [LISTEN], "scanners": []}, {"listen": [LISTEN], "scanner": [5]},
    {"listen": [LISTEN], "scanner": [{"name": ["x"], "scan": {}}]},
])
def test_a_wrong_shape_is_an_error_and_no_traceback(data):
    with pytest.raises(ConfigError, match=r"g\.toml: "):
        make_config(data, "g.toml")


def test_all_errors_are_reported_together():
    lines = problems(cache={"max_age": 0, "history": "x"}, gateway={"colour": 1}, nonsense={},
                     scanner=[{"name": "A", "scan": "x"}])
    assert len(lines) == 6


@pytest.mark.parametrize(("text", "message"), [
    (b"[gateway", "not valid TOML"), (b"\xff", "not UTF-8"), (b"a = 1\na = 2", "not valid TOML"),
    (b"\xef\xbb\xbf[gateway]", ":1: not valid TOML.*without a byte order mark"),
    (b"#" * (MAX_FILE + 1), f"must be a file of at most {MAX_FILE} bytes"),
    (b'a = "x\n', "is a quotation mark missing"),
    (b"a = " + b"9" * 5000, "not valid TOML"), (b"a = " + b"[" * 5000, "not valid TOML"),
    (b"a" + b".a" * 5000 + b" = 1", r"\[a\]: unknown section")])
def test_unreadable_files(tmp_path, text, message):
    file = tmp_path / "g.toml"
    file.write_bytes(text)
    with pytest.raises(ConfigError, match=message):
        read_config(str(file))


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_config(str(tmp_path / "none.toml"))


def test_without_a_file_both_places_and_the_demo_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        find_config()
    [line] = caught.value.problems
    assert "gateway.toml" in line
    assert "/etc/wsdgateway/gateway.toml" in line
    assert "--demo" in line
    (tmp_path / "gateway.toml").write_text("")
    assert find_config() == "gateway.toml"


def test_relative_paths_are_relative_to_the_file(tmp_path):
    file = tmp_path / "sub" / "g.toml"
    file.parent.mkdir()
    file.write_text("[[listen]]\nendpoint = 'tcp:1'\n")
    assert read_config(str(file)).folder == file.parent


def test_a_folder_without_read_permission_is_not_skipped(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "stat", refuse)
    assert find_config() == "gateway.toml"


class TestTheDefaultPlaceOfTheStore:
    """The address of the store without [gateway] state, in a service and elsewhere."""

    @pytest.fixture
    def read(self, tmp_path):
        folder = tmp_path / "etc"
        folder.mkdir()

        def read(text="", **environment):
            (folder / "g.toml").write_text(f'[[listen]]\nendpoint = "tcp:5357"\n{text}')
            return read_config(str(folder / "g.toml"), environment)

        read.folder = folder
        return read

    def test_it_is_beside_the_configuration(self, read):
        config = read()
        assert config.gateway.state == "sqlite:gateway.sqlite" and config.spool == read.folder / "spool"

    @pytest.mark.parametrize("folders", ["/var/lib/wsdgateway", "/var/lib/wsdgateway:/var/lib/other"])
    def test_in_a_service_it_is_in_the_state_directory_and_the_spool_beside_it(self, read, folders):
        config = read(STATE_DIRECTORY=folders)
        assert config.gateway.state == "sqlite:/var/lib/wsdgateway/gateway.sqlite"
        assert config.spool == Path("/var/lib/wsdgateway/spool")
        assert texts(config) == []

    @pytest.mark.parametrize("state", ["sqlite:gateway.sqlite", "sqlite:other.sqlite", "memory:"])
    def test_a_written_state_keeps_its_meaning(self, read, state):
        config = read(f'[gateway]\nstate = "{state}"\n', STATE_DIRECTORY="/var/lib/wsdgateway")
        assert config.gateway.state == state and texts(config) == []

    def test_with_a_redis_server_the_folders_are_in_the_state_directory_too(self, read):
        config = read('[gateway]\nstate = "redis://h"\n[escl]\n', STATE_DIRECTORY="/var/lib/wsdgateway")
        assert (config.spool, config.upload_folder) == (
            Path("/var/lib/wsdgateway/spool"), Path("/var/lib/wsdgateway/uploads"))
        assert read('[gateway]\nstate = "redis://h"\n').spool == read.folder / "spool"
        assert read('[gateway]\nstate = "memory:"\n', STATE_DIRECTORY="/x").spool == read.folder / "spool"

    def test_a_store_at_the_former_place_is_used_with_a_warning(self, read):
        (read.folder / "gateway.sqlite").touch()
        config = read('[gateway]\nname = "x"\n', STATE_DIRECTORY="/var/lib/wsdgateway")
        assert config.gateway.state == "sqlite:gateway.sqlite" and config.spool == read.folder / "spool"
        [line] = texts(config)
        assert line.startswith(f"[gateway] state: the store {read.folder}/gateway.sqlite is used, because it exists; ")
        assert " to /var/lib/wsdgateway, " in line

    def test_a_configuration_in_the_state_directory_itself_needs_no_warning(self, read):
        (read.folder / "gateway.sqlite").touch()
        config = read(STATE_DIRECTORY=str(read.folder))
        assert config.gateway.state == f"sqlite:{read.folder}/gateway.sqlite" and texts(config) == []


def texts(config):
    return [str(remark) for remark in remarks(config)]


def test_a_running_gateway_does_not_wait_for_a_pipe(tmp_path):
    file = tmp_path / "g.toml"
    file.write_text('[[listen]]\nendpoint = "tcp:5357"\n')
    assert read_config_again(str(file)) == read_config(str(file))
    file.unlink()
    with pytest.raises(ConfigError, match="cannot read the file: No such file or directory"):
        read_config_again(str(file))
    os.mkfifo(file)
    with pytest.raises(ConfigError, match="must be a regular file to be read again; restart the gateway with one"):
        read_config_again(str(file))
