-- Gives a scanner an eSCL port, unless another gateway has changed meanwhile what this one knows of it.
-- KEYS: ports. ARGV: scanner, port, the port that it has (empty for none), the scanner that loses the port (empty for
-- none). Returns 1, or 0 if the scanner has another port, or another scanner has this one.
local has = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if has ~= ARGV[3] and has ~= ARGV[2] then
  return 0
end
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if fields[i + 1] == ARGV[2] and fields[i] ~= ARGV[1] and fields[i] ~= ARGV[4] then
    return 0
  end
end
for i = 1, #fields, 2 do
  if fields[i + 1] == ARGV[2] and fields[i] ~= ARGV[1] then
    redis.call('HDEL', KEYS[1], fields[i])
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
