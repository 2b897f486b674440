-- Runs commands at once if the gateway owns the scanner.
-- KEYS: era, owner. ARGV: token, identifier, then for each command the number of its words, and its words.
-- Returns 'done' and the answers; 'fenced' or 'free' if the ownership has ended; 'era' if it may still be renewed: the
-- server has been restarted or replaced since.

local refused = refusal(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
if refused then
  return {refused}
end
local answers = {'done'}
local place = 3
while place <= #ARGV do
  local words = tonumber(ARGV[place])
  answers[#answers + 1] = redis.call(unpack(ARGV, place + 1, place + words))
  place = place + words + 1
end
return answers
