-- Returns the MetadataVersion of an endpoint, which grows by one when the digest of the metadata changes.
-- KEYS: versions. ARGV: endpoint, digest, first version.
local value = redis.call('HGET', KEYS[1], ARGV[1])
local known = value and cjson.decode(value) or {digest = '', version = tonumber(ARGV[3]) - 1}
if known.digest ~= ARGV[2] then
  known.digest = ARGV[2]
  known.version = known.version + 1
  redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(known))
end
return known.version
