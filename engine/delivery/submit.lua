-- Hand in: fences the sitting; its event stands in the log after all saves. Repeating it changes nothing.
-- In a doubtful partition both wait: the receipt is signed, and what was put back to an older state may lack responses.
-- KEYS  1 marker, 2 log, 3 due set, 4 news, 5 sitting hash
-- ARGV  1 sitting id, 2 epoch, 3 highest seq the candidate has sent, 4 ms from which handing in is allowed
-- Returns { outcome, generation, position, committed, server ms, the sitting's fields and values … }
local meta_key, log_key, due_key, news_key, sitting_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local sitting_id, epoch = ARGV[1], ARGV[2]
local seq = tonumber(ARGV[3])
local earliest_ms = tonumber(ARGV[4])

local partition = open_partition(meta_key, log_key)
if not partition then
    return { LOST }
end
local now = now_ms()
local sitting = redis.call('HMGET', sitting_key, 'state', 'epoch', 'closes_ms', 'high')
local state, stored_epoch, closes_ms, high = unpack(sitting, 1, 4)
local outcome = admit(state, stored_epoch, closes_ms, epoch, now)
local is_repeated = outcome == CLOSED and state == 'submitted'

if not is_repeated then
    if outcome == OK and now < earliest_ms then
        outcome = TOO_EARLY
    elseif outcome == OK and state ~= 'pledged' then
        outcome = ORDER
    elseif outcome == OK and seq > tonumber(high) then
        outcome = BEHIND
    end
    if outcome ~= OK then
        return { outcome, partition.generation, partition.n, partition.committed, now, 'high', high or '0' }
    end
end
if is_doubtful(partition) then
    return { LOST }
end
if not is_repeated then
    if not is_sound(partition) then
        return { CORRUPT }
    end
    local entry = { 'at', whole(now) }
    event(entry, sitting_id, 'submitted', 'submitted', epoch, now)
    append(partition, entry)
    redis.call('HSET', sitting_key, 'state', 'submitted', 'closed_ms', whole(now))
    tell(partition, news_key, { sitting_id, 'state:submitted' })
    redis.call('ZREM', due_key, sitting_id)
end

local answer = { OK, partition.generation, partition.n, partition.committed, now }
for _, part in ipairs(redis.call('HGETALL', sitting_key)) do
    answer[#answer + 1] = part
end
return answer
