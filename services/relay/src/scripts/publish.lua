-- Adds entries behind the one that the caller saw last, or nothing: a compare-and-set on the whole stream.
-- KEYS: stream, head. ARGV: epoch, incarnation, last entry, entries kept, lowest milliseconds of a new id, signing key
-- id, then envelope and signature of each entry.
-- Without entries it only looks whether the caller could add some.
-- Answers {'OK', id, ...} or {'FENCED' | 'ABSENT' | 'LOST'}.
local head = redis.call('HMGET', KEYS[2], 'epoch', 'incarnation', 'last')
if not head[1] or tonumber(head[1]) < tonumber(ARGV[1]) then
    return {'ABSENT'}
end
if head[1] ~= ARGV[1] then
    return {'FENCED'}
end
-- The newest entry itself is looked at too: the stream may have been cut or deleted beside its head.
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local tail = newest[1] and newest[1][1] or '0-0'
if head[2] ~= ARGV[2] or head[3] ~= ARGV[3] or tail ~= ARGV[3] then
    return {'LOST'}
end
if #ARGV == 6 then
    return {'OK'}
end
-- After a loss new ids stay above every id that was ever acknowledged, whatever the server's clock says: a reader that
-- stands behind the lost entries would pass over lower ones.
local id = '*'
local time = redis.call('TIME')
local lowest = tonumber(ARGV[5])
if time[1] * 1000 + math.floor(time[2] / 1000) < lowest and tonumber(string.match(tail, '^%d+')) < lowest then
    id = ARGV[5] .. '-*'
end
local answer = {'OK'}
for at = 7, #ARGV, 2 do
    answer[#answer + 1] = redis.call('XADD', KEYS[1], id, 'e', ARGV[at], 's', ARGV[at + 1], 'k', ARGV[6])
end
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[4])
redis.call('HSET', KEYS[2], 'last', answer[#answer])
return answer
