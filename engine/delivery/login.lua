-- Let a candidate in, or in again: raises the sitting's epoch, so that older tokens stop.
-- KEYS  1 marker, 2 log, 3 due set, 4 news, 5 sitting hash
-- ARGV  1 sitting id, 2 takeover rule (free, silent, proctor), 3 ms of silence that rule `silent` asks for
-- Returns { outcome, generation, position, committed, server ms, the sitting's fields and values … }
local meta_key, log_key, due_key, news_key, sitting_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local sitting_id = ARGV[1]
local takeover = ARGV[2]
local silent_ms = tonumber(ARGV[3])

local partition = open_partition(meta_key, log_key)
if not partition then
    return { LOST }
end
local now = now_ms()
local sitting = redis.call(
    'HMGET', sitting_key, 'state', 'epoch', 'check_in_ms', 'entry_ms', 'closes_ms', 'seen_ms', 'takeover_ms', 'form')
local state, epoch, check_in_ms, entry_ms, closes_ms, seen_ms, takeover_ms, form = unpack(sitting, 1, 8)
local answer = { OK, partition.generation, partition.n, partition.committed, now }
local function refused(outcome)
    answer[1] = outcome
    for _, part in ipairs(redis.call('HGETALL', sitting_key)) do
        answer[#answer + 1] = part
    end
    return answer
end

if not state then
    return { UNKNOWN }
end
if state == 'expected' and now < tonumber(check_in_ms) then
    return refused(TOO_EARLY)
end
if state == 'absent' or state == 'void' or (state == 'expected' and now >= tonumber(entry_ms)) then
    return refused(TOO_LATE)
end
local is_closed = state == 'submitted' or state == 'collected' or now >= tonumber(closes_ms)
local is_allowed = takeover_ms and now < (tonumber(takeover_ms) or 0) -- by a proctor: invigilation/takeover.lua
if state ~= 'expected' and not is_closed and not is_allowed then
    if takeover == 'proctor' or (takeover == 'silent' and now - tonumber(seen_ms) < silent_ms) then
        redis.call('HSET', sitting_key, 'asked_ms', whole(now)) -- for the proctor, who may allow it
        return refused(ELSEWHERE)
    end
end

if not is_sound(partition) then
    return { CORRUPT }
end
-- Above every epoch that was ever issued, also by a Redis that has lost its data or was put back since.
local epoch_floor = tonumber(redis.call('HGET', meta_key, 'epoch_floor')) or 0
epoch = whole(math.max(tonumber(epoch), epoch_floor) + 1)
if state == 'expected' then
    state = 'checked_in'
    redis.call('ZADD', due_key, closes_ms, sitting_id) -- first: it fails for what is no sorted set, and harms nobody
    redis.call('HSET', sitting_key, 'state', state, 'epoch', epoch, 'entered_ms', whole(now), 'seen_ms', whole(now))
else
    redis.call('HSET', sitting_key, 'epoch', epoch, 'seen_ms', whole(now))
    tell(partition, news_key, { sitting_id, 'epoch:' .. epoch })
end
redis.call('HDEL', sitting_key, 'takeover_ms', 'asked_ms') -- a permission is for one login
local entry = { 'at', whole(now) }
event(entry, sitting_id, 'login', state, epoch, now, form) -- from here on it has this paper, and PostgreSQL is told so
append(partition, entry)
answer[3] = partition.n
for _, part in ipairs(redis.call('HGETALL', sitting_key)) do
    answer[#answer + 1] = part
end
return answer
