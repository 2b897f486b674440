-- Fails if the user lacks the right to a command of the gateways, also to those that only later writes need. It leaves
-- nothing, and rings the bell. KEYS: a key that does not exist. ARGV: the channel of the bell.

local key = KEYS[1]
redis.call('DEL', key)  -- first, so that what the others write can be deleted
local commands = {
  {'INFO', 'server'}, {'TIME'}, {'TYPE', key}, {'EXISTS', key}, {'MGET', key},
  {'SET', key, ''}, {'SETNX', key, ''}, {'GET', key}, {'GETRANGE', key, 0, 0}, {'PEXPIRE', key, 1000}, {'PTTL', key},
  {'DEL', key},
  {'HSET', key, 'a', ''}, {'HSETNX', key, 'a', ''}, {'HGET', key, 'a'}, {'HMGET', key, 'a'}, {'HGETALL', key},
  {'HVALS', key}, {'HDEL', key, 'a'},
  {'SADD', key, 'a'}, {'SMEMBERS', key}, {'SREM', key, 'a'},
  {'RPUSH', key, 'a'}, {'LSET', key, 0, 'b'}, {'LRANGE', key, 0, -1}, {'LTRIM', key, 1, 0},
  {'ZADD', key, 1, 'a'}, {'ZSCORE', key, 'a'}, {'ZCARD', key}, {'ZREMRANGEBYSCORE', key, 2, 2}, {'ZREM', key, 'a'},
  {'XADD', key, '1-1', 'a', ''}, {'XRANGE', key, '-', '+'}, {'XINFO', 'STREAM', key}, {'DEL', key},
}
for _, command in ipairs(commands) do
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer.err then
    redis.call('DEL', key)
    return answer
  end
end
redis.call('PUBLISH', ARGV[1], '')
