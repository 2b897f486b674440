"""Tests of app.privileges: the user that twistd will switch to, according to its options.

The switch itself is tested with twistd.
"""

import os

import pytest

from wsdgateway.app.privileges import NoSuchUser, ServiceUser, acting_as, make_log, user_of

ROOT = ServiceUser("root", 0, 0)


def test_without_uid_there_is_no_switch(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert user_of({}) is None
    assert user_of({"uid": None, "gid": 7}) is None


def test_without_root_there_is_no_switch(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert user_of({"uid": 0, "gid": None}) is None


def test_the_default_group_is_that_of_the_user(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert user_of({"uid": 0, "gid": None}) == ROOT
    assert user_of({"uid": 0, "gid": 7}) == ServiceUser("root", 0, 7)


def test_a_user_that_does_not_exist_is_an_error(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(NoSuchUser, match="no such user"):
        user_of({"uid": 2**31 - 7, "gid": None})


def test_acting_as_no_other_user_changes_nothing():
    before = os.geteuid(), os.getegid(), os.getgroups()
    with acting_as(None):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == before


@pytest.mark.parametrize("options", [
    {"nodaemon": True}, {"logfile": "-"}, {"logfile": "x.log", "syslog": True}, {"logfile": "x.log", "logger": "a.b"}])
def test_no_log_file_is_made_if_twistd_writes_none(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert make_log(options, ROOT) is None
    assert list(tmp_path.iterdir()) == []
