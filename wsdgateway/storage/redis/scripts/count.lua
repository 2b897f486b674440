-- Counts a job for a client, if the gateway owns the scanner.
-- KEYS: era, owner, the client's jobs. ARGV: token, identifier, the job's name, for how long it counts in ms, and how
-- many may count.
-- Returns 'done', 'many' if too many jobs count, or 'fenced', 'free' or 'era' as fenced.lua.

local refused = refusal(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
if refused then
  return refused
end
return counts(KEYS[3], ARGV[3], ARGV[4], ARGV[5]) and 'done' or 'many'
