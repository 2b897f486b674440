-- Appends events that are newer than those in the stream, and sets and deletes cursors, if the gateway owns the scanner.
-- A repeated write changes nothing.
-- KEYS: era, owner, events, cursor. ARGV: token, identifier, the number of events to keep, the number of events; for
-- each event its identifier, the message, its Content-Type, its receiver, and 1 if the gateway made it; then for each
-- cursor its subscription and its value, which is empty if it is deleted.
-- Returns 'done', 'fenced', 'free' or 'era' as fenced.lua.

local refused = refusal(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
if refused then
  return refused
end

expect(KEYS[3], 'stream')
expect(KEYS[4], 'hash')

local function parts(identifier)
  local token, number = string.match(identifier, '^(%d+)-(%d+)$')
  return tonumber(token), tonumber(number)
end

local last_token, last_number = 0, 0
local stream = redis.pcall('XINFO', 'STREAM', KEYS[3])
if not stream.err then
  for place = 1, #stream, 2 do
    if stream[place] == 'last-generated-id' then
      last_token, last_number = parts(stream[place + 1])
    end
  end
end

local time = integer(now())
local place = 5
for _ = 1, tonumber(ARGV[4]) do
  local token, number = parts(ARGV[place])
  if token > last_token or (token == last_token and number > last_number) then
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], ARGV[place], 'data', ARGV[place + 1], 'type', ARGV[place + 2],
               'to', ARGV[place + 3], 'made', ARGV[place + 4], 'at', time)
    last_token, last_number = token, number
  end
  place = place + 5
end
while place < #ARGV do
  if ARGV[place + 1] == '' then
    redis.call('HDEL', KEYS[4], ARGV[place])
  else
    redis.call('HSET', KEYS[4], ARGV[place], ARGV[place + 1])
  end
  place = place + 2
end
return 'done'
