-- How a sitting stands, for a call of its candidate beside the exam itself; its responses stay where they are.
-- KEYS  1 marker, 2 log, 3 sitting hash
-- ARGV  1 epoch of the candidate's token
-- Returns { outcome, server ms, state, ends_ms, closed_ms or 0 }; a closed sitting is no refusal here
local sitting_key = KEYS[3]
local epoch = ARGV[1]

local partition = open_partition(KEYS[1], KEYS[2])
if not partition then
    return { LOST }
end
local now = now_ms()
local sitting = redis.pcall('HMGET', sitting_key, 'state', 'epoch', 'ends_ms', 'closes_ms', 'closed_ms')
if sitting.err then
    return { CORRUPT }
end
local state, stored_epoch, ends_ms, closes_ms, closed_ms = unpack(sitting, 1, 5)
if state and not (tonumber(ends_ms) and tonumber(closes_ms)) then
    return { CORRUPT }
end
local outcome = admit(state, stored_epoch, closes_ms, epoch, now)
if outcome == UNKNOWN or outcome == SUPERSEDED then
    return { outcome }
end
return { OK, now, state, ends_ms, closed_ms or '0' }
