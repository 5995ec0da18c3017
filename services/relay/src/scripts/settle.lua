-- Writes down the life and the newest entry from which the holder of the epoch goes on, once PostgreSQL agrees on both.
-- KEYS: stream, head. ARGV: epoch, incarnation, id of the newest entry.
-- Answers OK, FENCED (a later epoch), ABSENT (no epoch, or an earlier one) or LOST (the newest entry is another).
local epoch = redis.call('HGET', KEYS[2], 'epoch')
if not epoch or tonumber(epoch) < tonumber(ARGV[1]) then
    return 'ABSENT'
end
if epoch ~= ARGV[1] then
    return 'FENCED'
end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if (newest[1] and newest[1][1] or '0-0') ~= ARGV[3] then
    return 'LOST'
end
redis.call('HSET', KEYS[2], 'incarnation', ARGV[2], 'last', ARGV[3])
return 'OK'
