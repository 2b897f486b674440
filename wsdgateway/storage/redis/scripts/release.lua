-- Ends an ownership. KEYS: era, owner. ARGV: token, identifier, the channel of the bell.
-- Returns 1; 0 if the gateway does not own the scanner by that token.

local era = present_era(KEYS[1], now())
local token, identifier = owner_in(redis.call('GET', KEYS[2]), era)
if token ~= ARGV[1] or identifier ~= ARGV[2] then
  return 0
end
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', ARGV[3], identifier)
return 1
