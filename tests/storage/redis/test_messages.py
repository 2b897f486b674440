"""Tests of storage.redis.connecting: what people read of the errors of redis-py and of the server."""

import pytest
import redis

from wsdgateway.storage.coordination import NotAdmitted, NotNow, Unsupported
from wsdgateway.storage.redis.address import parse
from wsdgateway.storage.redis.connecting import not_now

ONE = "redis://203.0.113.7:6379/0"
SENTINELS = "redis+sentinel://203.0.113.5:26379,203.0.113.6:26379/gateways/0"
REFUSED = ("no Sentinel names the master: 203.0.113.5:26379: Error 111 connecting to 203.0.113.5:26379. Connection "
           "refused.")
SCRIPT = " script: 440684a112b1eb0e13a78d09debc3739eef74443, on @user_script:119."


@pytest.mark.parametrize(("url", "error", "said"), [
    (ONE, redis.ConnectionError("Error 111 connecting to 203.0.113.7:6379. Connection refused."), "Connection refused"),
    (SENTINELS, redis.ConnectionError("Error 111 connecting to 203.0.113.7:6379. Connection refused."),
     "the master 203.0.113.7:6379: Connection refused"),
    (SENTINELS, redis.ConnectionError(
        "no Sentinel names the master: 203.0.113.5:26379: Error 111 connecting to 203.0.113.5:26379. Connection "
        "refused.; 203.0.113.6:26379: knows no master of that name"),
     "no Sentinel names the master: 203.0.113.5:26379: Connection refused; 203.0.113.6:26379: knows no master of that "
     "name"),
    (ONE, redis.ResponseError(f"NOREPLICAS Not enough good replicas to write.{SCRIPT}"),
     "NOREPLICAS Not enough good replicas to write"),
    (ONE, redis.ResponseError("Command # 1 (LRANGE wsdgateway:{a (b)}:done -1000 -1) of pipeline caused error: command "
                              "not allowed when used memory > 'maxmemory'."),
     "command not allowed when used memory > 'maxmemory'"),
    (ONE, redis.AuthenticationError("Authentication required."),
     "a password is required: give a password file, or the password in the URL (Authentication required)"),
    (ONE, redis.AuthenticationError("invalid username-password pair or user is disabled."),
     "the password or user is wrong: correct the password file, or the URL (invalid username-password pair or user is "
     "disabled)"),
    (ONE, redis.ResponseError("DENIED Redis is running in protected mode because protected mode is enabled and no "
                              "password is set for the default user. In this mode connections are only accepted from "
                              "the loopback interface."),
     "the server is in protected mode, and admits its own host only: requirepass must be set (DENIED Redis is running "
     "in protected mode because protected mode is enabled and no password is set for the default user)"),
    (ONE.replace("/0", "/16"), redis.ResponseError("DB index is out of range"),
     "database 16: must be less than databases in redis.conf (DB index is out of range)"),
    (ONE.replace("/0", "/1"), redis.ResponseError("SELECT is not allowed in cluster mode"),
     "Redis Cluster is not supported: must be a single server, or several with Sentinel")])
def test_an_error_names_the_server_and_what_to_do(url, error, said):
    assert str(not_now(parse(url), error, 1.0)) == f"{url}: {said}"


@pytest.mark.parametrize(("error", "kind"), [
    (redis.AuthenticationError("Authentication required."), NotAdmitted),
    (redis.ResponseError("WRONGPASS invalid username-password pair or user is disabled."), NotAdmitted),
    (redis.exceptions.NoPermissionError("User a has no permissions to run the 'evalsha' command"), NotAdmitted),
    (redis.exceptions.ExecAbortError("Transaction discarded because of: NOPERM this user has no permissions to run the "
                                     "'exec' command"), NotAdmitted),
    (redis.ResponseError(f"The user executing the script can't run this command or subcommand{SCRIPT}"), NotAdmitted),
    (redis.ResponseError(f"ACL failure in script: User a has no permissions to run the 'set' command{SCRIPT}"),
     NotAdmitted),
    (redis.ResponseError(f"ACL failure in script: No permissions to access a channel{SCRIPT}"), NotAdmitted),
    (redis.ResponseError("DB index is out of range"), Unsupported),
    (redis.ResponseError("SELECT is not allowed in cluster mode"), Unsupported),
    (redis.ConnectionError("Error 1 connecting to 203.0.113.7:6379. [SSL: CERTIFICATE_VERIFY_FAILED] certificate "
                           "verify failed: self-signed certificate (_ssl.c:1006)."), NotAdmitted),
    (redis.ConnectionError(f"{REFUSED}; 203.0.113.6:26379: knows no master of that name"), NotAdmitted),
    (redis.ConnectionError("max number of clients reached"), NotAdmitted),
    (redis.ConnectionError(REFUSED), NotNow),
    (redis.ConnectionError(f"{REFUSED}; 203.0.113.6:26379: unknown command 'SENTINEL'"), NotNow),
    (redis.ResponseError("unknown command 'EVALSHA', with args beginning with: 'e0e1' '0' "), Unsupported),
    (redis.ResponseError("LOADING Redis is loading the dataset in memory"), NotNow),
    (redis.ConnectionError("Error 111 connecting to 203.0.113.7:6379. Connection refused."), NotNow),
    (redis.TimeoutError("Timeout reading from socket"), NotNow)])
def test_a_server_that_does_not_admit_the_gateway_is_told_from_one_that_is_away(error, kind):
    assert type(not_now(parse(ONE), error, 1.0)) is kind
