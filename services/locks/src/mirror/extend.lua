-- Moves the end of a lease that was renewed. An entry that is not there stays away: the lease may have ended meanwhile.
-- KEYS[1] the resource; ARGV fence, expires_at in ms, stale_at in ms.
local known = redis.call('HMGET', KEYS[1], 'fence', 'stale_at_ms')
if known[1] ~= ARGV[1] then
    return 0
end
if known[2] and (#known[2] > #ARGV[3] or (#known[2] == #ARGV[3] and known[2] >= ARGV[3])) then
    return 0
end
redis.call('HSET', KEYS[1], 'expires_at_ms', ARGV[2], 'stale_at_ms', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return 1
