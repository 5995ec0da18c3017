-- Makes the mirror of the order registry what the registry is. KEYS[1] a hash of ranks by class; ARGV class, rank, class, rank, ...
-- Answers 1 where it was different.
local same = redis.call('HLEN', KEYS[1]) * 2 == #ARGV
for i = 1, #ARGV, 2 do
    same = same and redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1]
end
if same then
    return 0
end
redis.call('DEL', KEYS[1])
for i = 1, #ARGV, 2 do
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
return 1
