-- Writes what a gateway knows of the data that all gateways share, after the server was away: versions and the
-- InstanceId if they are larger than those here; the rest only if the server has lost its data.
-- KEYS: schema, adopted, versions, instance, ports. ARGV: schema version, JSON of the data.
local known = cjson.decode(ARGV[2])
if redis.call('SETNX', KEYS[1], ARGV[1]) == 1 then
  for uuid, one in pairs(known.adopted) do
    redis.call('HSETNX', KEYS[2], uuid, cjson.encode(one))
  end
  local taken = {}
  for _, port in ipairs(redis.call('HVALS', KEYS[5])) do
    taken[port] = true
  end
  for scanner, port in pairs(known.ports) do
    if not taken[port] then
      redis.call('HSETNX', KEYS[5], scanner, port)
    end
  end
end
for endpoint, one in pairs(known.versions) do
  local value = redis.call('HGET', KEYS[3], endpoint)
  if not value or cjson.decode(value).version < one.version then
    redis.call('HSET', KEYS[3], endpoint, cjson.encode(one))
  end
end
if known.instance > last_instance(KEYS[4]) then
  redis.call('SET', KEYS[4], string.format('%.0f', known.instance))
end
