-- Raises a counter to what was counted when its transaction committed. Counts only grow, so the highest is the latest, in
-- whatever order they come. KEYS[1]: the counter; ARGV: tokens, cost, when it expires (ms).
local known = redis.call('HMGET', KEYS[1], 'tokens', 'cost')
for i, field in ipairs({'tokens', 'cost'}) do
    if tonumber(ARGV[i]) > (tonumber(known[i] or '') or -1) then
        redis.call('HSET', KEYS[1], field, ARGV[i])
    end
end
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
