-- Sets a counter that is higher than what is counted, unless it has changed since it was seen. KEYS[1]: the counter; ARGV: what
-- was seen, tokens and cost; what is to be, tokens and cost; when it expires (ms).
local known = redis.call('HMGET', KEYS[1], 'tokens', 'cost')
if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then
    return 0
end
redis.call('HSET', KEYS[1], 'tokens', ARGV[3], 'cost', ARGV[4])
redis.call('PEXPIREAT', KEYS[1], ARGV[5])
return 1
