"""The user that twistd will become, by its options; becoming it is tested with twistd itself."""

import os

import pytest

from wsdgateway.app.privileges import NoSuchUser, ServiceUser, acting_as, make_log, user_of

ROOT = ServiceUser("root", 0, 0)


def test_without_uid_nobody_is_become(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert user_of({}) is None
    assert user_of({"uid": None, "gid": 7}) is None


def test_without_root_nobody_can_be_become(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert user_of({"uid": 0, "gid": None}) is None


def test_the_group_is_the_users_own_unless_it_is_named(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert user_of({"uid": 0, "gid": None}) == ROOT
    assert user_of({"uid": 0, "gid": 7}) == ServiceUser("root", 0, 7)


def test_a_user_that_does_not_exist(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(NoSuchUser, match="no such user"):
        user_of({"uid": 2**31 - 7, "gid": None})


def test_acting_as_nobody_else_changes_nothing():
    before = os.geteuid(), os.getegid(), os.getgroups()
    with acting_as(None):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == before


@pytest.mark.parametrize("options", [
    {"nodaemon": True}, {"logfile": "-"}, {"logfile": "x.log", "syslog": True}, {"logfile": "x.log", "logger": "a.b"}])
def test_where_twistd_writes_no_file_none_is_made(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert make_log(options, ROOT) is None
    assert list(tmp_path.iterdir()) == []
