-- Registers a gateway, renews its leases, and returns the view.
-- KEYS: era, gateways, wishes, the gateway's registration, its name, then the owner of each scanner.
-- ARGV: lease, grace, identifier, registration, prefix of the keys of registrations, then for each scanner the token by
-- which this gateway owns it, or 0.
-- Returns 'taken' if another gateway has the name; else 'view', the time, the era, the rest of the grace, the
-- registrations, a text with a line for each owner (place of the scanner, token, rest of the lease, 1 if just renewed,
-- identifier), and the wishes (scanner, gateway). A list of some thousand items would take redis-py much longer to read.

local FIRST_OWNER, FIRST_TOKEN = 6, 6
local AT_ONCE = 1000  -- keys, since Lua's stack is bounded

expect(KEYS[1], 'hash')
expect(KEYS[2], 'set')
expect(KEYS[3], 'hash')
expect(KEYS[4], 'string')
expect(KEYS[5], 'string')
local time = now()
local lease = tonumber(ARGV[1])
local era, grace = present_or_new_era(KEYS[1], time, tonumber(ARGV[2]))
local identifier = ARGV[3]

local named = redis.call('GET', KEYS[5])
if named and named ~= identifier then
  rest_of(KEYS[5], lease)
  return {'taken'}
end
redis.call('SET', KEYS[5], identifier, 'PX', lease)
-- A large registration is written to the server's file and its replicas only when it changes.
if redis.call('GET', KEYS[4]) == ARGV[4] then
  redis.call('PEXPIRE', KEYS[4], lease)
else
  redis.call('SET', KEYS[4], ARGV[4], 'PX', lease)
end
redis.call('SADD', KEYS[2], identifier)

local registrations = {}
local gateways = redis.call('SMEMBERS', KEYS[2])
table.sort(gateways)
for _, gateway in ipairs(gateways) do
  expect(ARGV[5] .. gateway, 'string')
  local registration = redis.call('GET', ARGV[5] .. gateway)
  if registration then
    rest_of(ARGV[5] .. gateway, lease)
    registrations[#registrations + 1] = registration
  else
    redis.call('SREM', KEYS[2], gateway)
  end
end

local owners = {}
for first = FIRST_OWNER, #KEYS, AT_ONCE do
  local values = redis.call('MGET', unpack(KEYS, first, math.min(first + AT_ONCE - 1, #KEYS)))
  for place, value in ipairs(values) do
    local token, owner = owner_in(value, era)
    if token then
      local number = first + place - 1 - FIRST_OWNER
      local key, rest, renewed = KEYS[FIRST_OWNER + number], lease, 0
      if owner == identifier and token == ARGV[FIRST_TOKEN + number] then
        redis.call('PEXPIRE', key, lease)
        renewed = 1
      else
        rest = rest_of(key, lease)
      end
      owners[#owners + 1] = table.concat({number, token, rest, renewed, owner}, ' ')
    end
  end
end

local wishes = {}
local wished = redis.call('HGETALL', KEYS[3])
for place = 1, #wished, 2 do
  local ends, gateway = string.match(wished[place + 1], '^(%d+) (.*)$')
  if ends and tonumber(ends) > time then
    wishes[#wishes + 1] = wished[place]
    wishes[#wishes + 1] = gateway
  else
    redis.call('HDEL', KEYS[3], wished[place])
  end
end

return {'view', time, era, grace, registrations, table.concat(owners, '\n'), wishes}
