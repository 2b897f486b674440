-- Functions for all scripts. Times are in milliseconds.

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function run_id()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end

local function integer(number)
  return string.format('%.0f', number)
end

-- Deletes a key of the coordination that has another type than the scripts give it: they would fail as long as it exists.
local function expect(key, kind)
  local present = redis.call('TYPE', key).ok
  if present ~= kind and present ~= 'none' then
    redis.call('DEL', key)
  end
end

-- The rest of a lease. A key that would never expire gets a lease, since nobody would ever take what it stands for.
local function rest_of(key, lease)
  local rest = redis.call('PTTL', key)
  if rest == -1 then
    redis.call('PEXPIRE', key, lease)
    rest = lease
  end
  return rest
end

-- True for a number that the scripts have written. Larger ones are not exact in Lua.
local function is_number(text)
  return text and string.find(text, '^%d+$') and #text <= 15
end

-- The number of the present era and the rest of its grace. If this server is not the one on which the era began: nil and
-- the number.
local function present_era(key, time)
  local era = redis.call('HMGET', key, 'number', 'run_id', 'grace_until')
  if not is_number(era[1]) then
    return nil
  end
  if era[2] ~= run_id() or not is_number(era[3]) then
    return nil, tonumber(era[1])
  end
  return era[1], math.max(0, tonumber(era[3]) - time)
end

-- The same, after a new era has been begun if it must be. Its number is larger than that of every era before, also
-- those that an empty server knows nothing of. A clock that was set back does not make the grace longer.
local function present_or_new_era(key, time, grace)
  local era, rest = present_era(key, time)
  if era then
    return era, math.min(rest, grace)
  end
  era = integer(math.max((rest or 0) + 1, time))
  redis.call('HSET', key, 'number', era, 'run_id', run_id(), 'grace_until', integer(time + grace))
  return era, grace
end

-- Token and identifier from the value of an owner; nil if there is none, if it is of another era, or if no gateway has
-- written it: identifiers have no blanks.
local function owner_in(value, era)
  if not value then
    return nil
  end
  local its_era, token, identifier = string.match(value, '^(%d+) (%d+) (%S+)$')
  if its_era ~= era or not is_number(token) then
    return nil
  end
  return token, identifier
end

-- The last InstanceId, 0 if there is none. Discovery messages have 32 bits for it, so a value without a next one counts as
-- missing, like one that is no number: else no gateway could announce a scanner that it takes over.
local function last_instance(key)
  expect(key, 'string')
  local last = redis.call('GET', key)
  if is_number(last) and tonumber(last) < 4294967295 then
    return tonumber(last)
  end
  return 0
end

-- Why a gateway must not write by this token: 'fenced' if another gateway owns the scanner, or the same by another token;
-- 'free' if nobody does; 'era' if the ownership may still be renewed, since the server has been restarted or replaced. Nil
-- if it may write.
local function refusal(era_key, owner_key, its_token, its_identifier)
  local era, grace = present_era(era_key, now())
  if not era then
    return 'era'
  end
  local token, identifier = owner_in(redis.call('GET', owner_key), era)
  if token == its_token and identifier == its_identifier then
    return nil
  end
  if token then
    return 'fenced'
  end
  return grace > 0 and 'era' or 'free'
end

-- Has a job count for a client for so many ms, unless as many other jobs as may count do so already; returns whether it
-- counts. No job counts longer because the clock was set back.
local function counts(key, job, ms, most)
  expect(key, 'zset')
  local time = now()
  local ends = integer(time + ms)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', time)
  redis.call('ZREMRANGEBYSCORE', key, '(' .. ends, '+inf')
  if not redis.call('ZSCORE', key, job) and redis.call('ZCARD', key) >= tonumber(most) then
    return false
  end
  redis.call('ZADD', key, ends, job)
  redis.call('PEXPIRE', key, ms)
  return true
end
