-- Returns the next InstanceId: the given time in seconds, or the last InstanceId plus one, whichever is larger.
-- KEYS: instance. ARGV: time.
local last = tonumber(redis.call('GET', KEYS[1]))
local next = tonumber(ARGV[1])
if last and last + 1 > next then
  next = last + 1
end
redis.call('SET', KEYS[1], string.format('%.0f', next))
return next
