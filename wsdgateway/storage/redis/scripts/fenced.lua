-- Runs commands at once if the gateway owns the scanner.
-- KEYS: era, owner. ARGV: token, identifier, then for each command the number of its words, and its words.
-- Returns 'done' and the answers; 'fenced' if the ownership has ended; 'era' if it may still be renewed: the server
-- has been restarted or replaced since.

local era, grace = present_era(KEYS[1], now())
if not era then
  return {'era'}
end
local token, identifier = owner_in(redis.call('GET', KEYS[2]), era)
if token ~= ARGV[1] or identifier ~= ARGV[2] then
  if not token and grace > 0 then
    return {'era'}
  end
  return {'fenced'}
end
local answers = {'done'}
local place = 3
while place <= #ARGV do
  local words = tonumber(ARGV[place])
  answers[#answers + 1] = redis.call(unpack(ARGV, place + 1, place + words))
  place = place + words + 1
end
return answers
