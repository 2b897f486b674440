-- Records which gateway shall own a scanner. KEYS: wishes. ARGV: scanner, name of the gateway, for how long, the channel
-- of the bell. The message is empty, so that the bell also rings at the gateway that records it: it may be the owner.

redis.call('PUBLISH', ARGV[4], '')  -- before any change: the user may lack the right to the channel
redis.call('HSET', KEYS[1], ARGV[1], integer(now() + tonumber(ARGV[3])) .. ' ' .. ARGV[2])
