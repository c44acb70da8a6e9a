-- Read a sitting; with a step named, take that step first (checked_in -> confirmed -> pledged).
-- KEYS  1 marker, 2 log, 3 news, 4 sitting hash
-- ARGV  1 sitting id, 2 epoch, 3 state the step starts from, 4 state it leads to (both empty: only read),
--       5 `receipt` when what is read will be signed, which a doubtful partition does not allow; else empty
-- Returns { outcome, generation, position, committed, server ms, the sitting's fields and values … }
local meta_key, log_key, news_key, sitting_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local sitting_id, epoch = ARGV[1], ARGV[2]
local from_state, to_state = ARGV[3], ARGV[4]
local is_for_receipt = ARGV[5] == 'receipt'
local RANK = { expected = 0, checked_in = 1, confirmed = 2, pledged = 3 }
local SEEN_EVERY_MS = 10000 -- a read becomes a write only this often

local partition = open_partition(meta_key, log_key)
if not partition then
    return { LOST }
end
local now = now_ms()
local sitting = redis.call('HMGET', sitting_key, 'state', 'epoch', 'closes_ms', 'seen_ms')
local state, stored_epoch, closes_ms, seen_ms = unpack(sitting, 1, 4)
local outcome = admit(state, stored_epoch, closes_ms, epoch, now)
if outcome == UNKNOWN or outcome == SUPERSEDED then
    return { outcome }
end
if is_for_receipt and is_doubtful(partition) then
    return { LOST }
end

if to_state == '' then
    if now - tonumber(seen_ms) > SEEN_EVERY_MS then
        redis.call('HSET', sitting_key, 'seen_ms', whole(now))
    end
elseif outcome == CLOSED or RANK[state] < RANK[from_state] then
    return { ORDER }
elseif state == from_state then
    if not is_sound(partition) then
        return { CORRUPT }
    end
    redis.call('HSET', sitting_key, 'state', to_state, 'seen_ms', whole(now))
    local entry = { 'at', whole(now) }
    event(entry, sitting_id, to_state, to_state, epoch, now)
    append(partition, entry)
    tell(partition, news_key, { sitting_id, 'state:' .. to_state })
end

local answer = { OK, partition.generation, partition.n, partition.committed, now }
for _, part in ipairs(redis.call('HGETALL', sitting_key)) do
    answer[#answer + 1] = part
end
return answer
