-- Takes away what a lease had that has ended, and nothing with a higher token. KEYS[1] the resource; ARGV fence.
local known = redis.call('HGET', KEYS[1], 'fence')
if not known or #known > #ARGV[1] or (#known == #ARGV[1] and known > ARGV[1]) then
    return 0
end
return redis.call('DEL', KEYS[1])
