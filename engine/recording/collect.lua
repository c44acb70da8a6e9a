-- Write down what time has already decided: sittings at their end are collected, those who never came are absent.
-- A compare-and-set per sitting: handed in, collected or moved ends are left alone, so it happens exactly once.
-- A doubtful partition waits for its comparison: what it has forgotten may be a hand-in, or a login of who looks absent.
-- KEYS  1 marker, 2 log, 3 due set, 4 news, 5.. sitting hashes
-- ARGV  the sitting ids, in the same order
-- Returns { outcome, number collected, number absent, number that cannot be read }; LOST: the same again a little later
local meta_key, log_key, due_key, news_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local partition = open_partition(meta_key, log_key)
if not partition or is_doubtful(partition) then
    return { LOST }
end
if not is_sound(partition) then
    return { CORRUPT }
end
local UNREAD_PAUSE_MS = 60000 -- what cannot be read must not stand in the way of the others
local now = now_ms()
local entry = { 'at', whole(now) }
local news = {}
local collected, absent, unread = 0, 0, 0
for index, sitting_id in ipairs(ARGV) do
    local sitting_key = KEYS[index + 4]
    -- Nothing may fail here any more: what was written of the others would stand without its log entry.
    local sitting = redis.pcall('HMGET', sitting_key, 'state', 'epoch', 'entry_ms', 'ends_ms', 'closes_ms')
    local state, epoch, entry_ms, ends_ms, closes_ms = unpack(sitting, 1, 5)
    local is_readable = tonumber(epoch) and tonumber(entry_ms) and tonumber(ends_ms) and tonumber(closes_ms)
    if sitting.err or (state and not is_readable) then
        redis.call('ZADD', due_key, whole(now + UNREAD_PAUSE_MS), sitting_id)
        unread = unread + 1
    elseif not state or state == 'submitted' or state == 'collected' or state == 'absent' or state == 'void' then
        redis.call('ZREM', due_key, sitting_id)
    elseif state == 'expected' then
        if now >= tonumber(entry_ms) then
            redis.call('HSET', sitting_key, 'state', 'absent', 'closed_ms', entry_ms)
            event(entry, sitting_id, 'absent', 'absent', epoch, tonumber(entry_ms))
            redis.call('ZREM', due_key, sitting_id)
            absent = absent + 1
        else
            redis.call('ZADD', due_key, entry_ms, sitting_id)
        end
    elseif now >= tonumber(closes_ms) then
        redis.call('HSET', sitting_key, 'state', 'collected', 'closed_ms', ends_ms)
        event(entry, sitting_id, 'collected', 'collected', epoch, tonumber(ends_ms))
        redis.call('ZREM', due_key, sitting_id)
        collected = collected + 1
        news[#news + 1] = sitting_id
        news[#news + 1] = 'state:collected'
    else
        redis.call('ZADD', due_key, closes_ms, sitting_id)
    end
end
if #entry > 2 then
    append(partition, entry)
end
if #news > 0 then
    tell(partition, news_key, news)
end
return { OK, collected, absent, unread }
