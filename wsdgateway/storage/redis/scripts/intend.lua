-- Writes the intent to send a CreateScanJob, if the gateway owns the scanner, and nothing else is known of the request.
-- KEYS: era, owner, the request. ARGV: token, identifier, the intent, for how long in ms.
-- Returns 'done', and what another owner has written, or the reply, if there is either; 'fenced' or 'era' as fenced.lua.

local refused = refusal(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
if refused then
  return {refused}
end
local known = redis.call('GET', KEYS[3])
if known and known ~= ARGV[3] then
  return {'done', known}
end
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
return {'done'}
