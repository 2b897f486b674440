-- Ends a registration. KEYS: gateways, registration. ARGV: identifier, prefix of the keys of names, the channel of the
-- bell.

local registration = redis.call('GET', KEYS[2])
if registration then
  local key = ARGV[2] .. cjson.decode(registration).name
  redis.call('DEL', KEYS[2])
  if redis.call('GET', key) == ARGV[1] then
    redis.call('DEL', key)
  end
end
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[3], ARGV[1])
