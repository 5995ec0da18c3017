-- Takes ARGV[2] from a caller's rate, all or none, by this server's clock: 0, or in how many microseconds they can be taken.
-- KEYS[1]: when the bucket will be full again (us); ARGV[1]: how many a minute. The arithmetic of domain/rate.rs.
local minute = 60000000
local each = math.floor(minute / tonumber(ARGV[1]))
local all = each * tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or '') or now, now)
local wait = full_at - now - (minute - all)
if wait > 0 then
    return wait
end
full_at = full_at + all
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return 0
