-- Makes a gateway the owner of a scanner, unless it has one.
-- KEYS: era, owner, token, events. ARGV: lease, grace, identifier, the token that the gateway remembers, 1 if its own
-- lease clock still runs, the channel of the bell.
-- Returns 'acquired', the time and the token; or 'refused', the time, the rest of the grace, and, if there is an owner,
-- its token, identifier and the rest of its lease.

local MAX_EVENTS = 256

expect(KEYS[1], 'hash')
expect(KEYS[2], 'string')
expect(KEYS[3], 'string')
expect(KEYS[4], 'stream')
local time = now()
local era, grace = present_or_new_era(KEYS[1], time, tonumber(ARGV[2]))
local identifier, mine, is_valid = ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local token, owner = owner_in(redis.call('GET', KEYS[2]), era)
local is_free = not token
if grace > 0 then
  is_free = is_valid and mine > tonumber(token or 0)
end
if not is_free then
  if token then
    return {'refused', time, grace, token, owner, rest_of(KEYS[2], tonumber(ARGV[1]))}
  end
  return {'refused', time, grace}
end

-- After a loss of data the counter may be older than the stream, and both older than what the gateway remembers.
local highest = redis.call('GET', KEYS[3])
local newest = math.max(is_number(highest) and tonumber(highest) or 0, mine)
local stream = redis.pcall('XINFO', 'STREAM', KEYS[4])
if not stream.err then
  for place = 1, #stream, 2 do
    if stream[place] == 'last-generated-id' then
      local last = string.match(stream[place + 1], '^%d+')
      if is_number(last) then
        newest = math.max(newest, tonumber(last))
      else
        redis.call('DEL', KEYS[4])  -- no gateway has written that
      end
    end
  end
end
token = integer(newest + 1)
redis.call('PUBLISH', ARGV[6], identifier)  -- before any change: the user may lack the right to the channel
redis.call('XADD', KEYS[4], 'MAXLEN', '~', MAX_EVENTS, token .. '-0', 'took', identifier)
redis.call('SET', KEYS[3], token)
redis.call('SET', KEYS[2], era .. ' ' .. token .. ' ' .. identifier, 'PX', tonumber(ARGV[1]))
return {'acquired', time, token}
