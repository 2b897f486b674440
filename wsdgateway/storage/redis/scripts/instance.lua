-- Returns the next InstanceId: the given time in seconds, or the last InstanceId plus one, whichever is larger.
-- KEYS: instance. ARGV: time.
local next = math.max(tonumber(ARGV[1]), last_instance(KEYS[1]) + 1)
redis.call('SET', KEYS[1], string.format('%.0f', next))
return next
