-- Writes what a lease has of a resource, unless a higher token, or a later end of the same lease, is there already.
-- KEYS[1] the resource; ARGV fence, lease, expires_at in ms, stale_at in ms. Answers 1 where the entry is this lease's.
local function is_higher(one, other)
    if #one ~= #other then
        return #one > #other
    end
    return one > other
end
local known = redis.call('HMGET', KEYS[1], 'fence', 'stale_at_ms')
if known[1] then
    if is_higher(known[1], ARGV[1]) then
        return 0
    end
    if known[1] == ARGV[1] and known[2] and is_higher(known[2], ARGV[4]) then
        return 1
    end
end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'lease_id', ARGV[2], 'expires_at_ms', ARGV[3], 'stale_at_ms', ARGV[4])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
return 1
