-- Changes for how long jobs count for clients. A job that does not count any more, counts again.
-- KEYS: for each job the jobs of its client. ARGV: for each its name, and for how long it counts in ms, 0 if it has ended.

local time = now()
for place, key in ipairs(KEYS) do
  local job, ms = ARGV[2 * place - 1], tonumber(ARGV[2 * place])
  expect(key, 'zset')
  if ms > 0 then
    redis.call('ZADD', key, integer(time + ms), job)
    redis.call('PEXPIRE', key, integer(math.max(redis.call('PTTL', key), ms)))
  else
    redis.call('ZREM', key, job)
  end
end
