-- Ends a registration. KEYS: gateways, registration. ARGV: identifier, prefix of the keys of names, the channel of the
-- bell.

expect(KEYS[1], 'set')
expect(KEYS[2], 'string')
local registration = redis.call('GET', KEYS[2])
if registration then
  redis.call('DEL', KEYS[2])
  local is_readable, one = pcall(cjson.decode, registration)
  local key = is_readable and type(one) == 'table' and type(one.name) == 'string' and ARGV[2] .. one.name
  if key and redis.call('GET', key) == ARGV[1] then
    redis.call('DEL', key)
  end
end
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[3], ARGV[1])
