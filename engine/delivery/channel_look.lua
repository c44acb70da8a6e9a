-- Look at sittings whose candidates have channels.
-- KEYS  1 marker, 2 log, 3.. sitting hashes
-- ARGV  the epochs of the channels' tokens, in the same order
-- Returns { outcome, generation, position, committed, server ms,
--           then per sitting { outcome, state, ends_ms, highest seq seen, what is known of the photo or '' } }
local SEEN_EVERY_MS = 10000 -- a look becomes a write only this often
local partition = open_partition(KEYS[1], KEYS[2])
if not partition then
    return { LOST }
end
local now = now_ms()
local answer = { OK, partition.generation, partition.n, partition.committed, now }
for at, epoch in ipairs(ARGV) do
    local sitting_key = KEYS[at + 2]
    local sitting = redis.pcall('HMGET', sitting_key, 'state', 'epoch', 'ends_ms', 'high', 'seen_ms', 'photo')
    local state, stored_epoch, ends_ms, high, seen_ms, photo = unpack(sitting, 1, 6)
    if sitting.err or (state and not (tonumber(ends_ms) and tonumber(high) and tonumber(seen_ms))) then
        answer[at + 5] = { CORRUPT } -- for itself alone
    elseif not state then
        answer[at + 5] = { UNKNOWN }
    elseif stored_epoch ~= epoch then
        answer[at + 5] = { SUPERSEDED }
    else
        if now - tonumber(seen_ms) > SEEN_EVERY_MS then
            redis.call('HSET', sitting_key, 'seen_ms', whole(now))
        end
        answer[at + 5] = { OK, state, ends_ms, high, photo or '' }
    end
end
return answer
