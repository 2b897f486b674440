-- Gives an adopted scanner a name, unless another one has it.
-- KEYS: adopted. ARGV: uuid, name. Returns 1, or 0 if the name is in use.
local last = 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local known = cjson.decode(fields[i + 1])
  if fields[i] == ARGV[1] then
    last = known.number - 1
    break
  end
  last = math.max(last, known.number)
end
for i = 1, #fields, 2 do
  if fields[i] ~= ARGV[1] and cjson.decode(fields[i + 1]).name == ARGV[2] then
    return 0
  end
end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({name = ARGV[2], number = last + 1}))
return 1
