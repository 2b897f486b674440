-- Writes the intent to send a CreateScanJob, if the gateway owns the scanner, and nothing else is known of the request.
-- KEYS: era, owner, the request, and the client's jobs if they are counted. ARGV: token, identifier, the intent, for how
-- long in ms, and for counting the job's name, for how long it counts in ms, and how many may count.
-- Returns 'done', 'free' or 'era', and what another owner has written, or the reply, if there is either; else 'done', 'many'
-- if too many jobs count, or 'fenced', 'free' or 'era' as fenced.lua. If nobody owns the scanner, a gateway may serve it
-- alone: it writes nothing, but must not repeat what a former owner has sent.

local refused = refusal(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
if refused == 'fenced' then
  return {refused}
end
local known = redis.call('GET', KEYS[3])
if known and known ~= ARGV[3] then
  return {refused or 'done', known}
end
if refused then
  return {refused}
end
if KEYS[4] and not counts(KEYS[4], ARGV[5], ARGV[6], ARGV[7]) then
  return {'many'}
end
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
return {'done'}
