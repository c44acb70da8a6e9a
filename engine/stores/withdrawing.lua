-- Withdraw a sitting of an arming that was undone: whoever logged in to it is told that this login has ended, nobody
-- enters it any more, and nothing comes due of it. What is left of it only says so.
-- KEYS  1 marker, 2 log, 3 due set, 4 news, 5 sitting hash
-- ARGV  1 sitting id
-- Returns { outcome }
local meta_key, log_key, due_key, news_key, sitting_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local sitting_id = ARGV[1]

local sitting = redis.call('HMGET', sitting_key, 'state', 'epoch', 'withdrawn')
local state, epoch, withdrawn = unpack(sitting, 1, 3)
if not state or withdrawn then
    return { OK }
end
local partition = open_partition(meta_key, log_key)
if not partition then -- it is being built: nobody can act on the sitting before that is done
    redis.call('DEL', sitting_key)
    redis.call('ZREM', due_key, sitting_id)
    return { OK }
end
if not is_sound(partition) then
    return { CORRUPT }
end
local now = now_ms()
-- Above every epoch that was ever issued, as at a login: whatever token is about is an older one.
local epoch_floor = tonumber(redis.call('HGET', meta_key, 'epoch_floor')) or 0
epoch = whole(math.max(tonumber(epoch) or 0, epoch_floor) + 1)
redis.call('ZREM', due_key, sitting_id) -- first: it fails for what is no sorted set
redis.call('HSET', sitting_key, 'state', 'void', 'epoch', epoch, 'login', '', 'withdrawn', whole(now))
local entry = { 'at', whole(now) }
event(entry, sitting_id, 'withdrawn', 'expected', epoch, now)
append(partition, entry)
tell(partition, news_key, { sitting_id, 'epoch:' .. epoch })
return { OK }
