-- Raises the epoch of a shard's stream, only upwards: from here on no holder of an earlier epoch adds an entry.
-- KEYS: stream, head. ARGV: epoch. Answers {'OK', incarnation or '', id of the newest entry} or {'FENCED'}.
local head = redis.call('HMGET', KEYS[2], 'epoch', 'incarnation')
if head[1] and tonumber(head[1]) > tonumber(ARGV[1]) then
    return {'FENCED'}
end
redis.call('HSET', KEYS[2], 'epoch', ARGV[1])
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
return {'OK', head[2] or '', newest[1] and newest[1][1] or '0-0'}
