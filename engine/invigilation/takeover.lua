-- Let the next login of a sitting take it over from the machine that has it, once, until a moment of this clock.
-- KEYS  1 marker, 2 log, 3 sitting hash
-- ARGV  1 how long it holds in ms; 0 only looks whether there is anything to allow
-- Returns { outcome, server ms, moment until which it holds; 0 when nobody is logged in, so that nothing needs allowing }
local sitting_key = KEYS[3]
local holds_ms = tonumber(ARGV[1])

local partition = open_partition(KEYS[1], KEYS[2])
if not partition then
    return { LOST }
end
local now = now_ms()
local sitting = redis.pcall('HMGET', sitting_key, 'state', 'entry_ms', 'closes_ms')
if sitting.err then
    return { CORRUPT }
end
local state, entry_ms, closes_ms = unpack(sitting, 1, 3)
if not state then
    return { UNKNOWN }
end
if not (tonumber(entry_ms) and tonumber(closes_ms)) then
    return { CORRUPT }
end
if state == 'submitted' or state == 'collected' or state == 'absent' or state == 'void' or now >= tonumber(closes_ms) then
    return { CLOSED }
end
if state == 'expected' then
    if now >= tonumber(entry_ms) then
        return { CLOSED }
    end
    return { OK, now, 0 }
end
if holds_ms == 0 then
    return { OK, now, now }
end
redis.call('HSET', sitting_key, 'takeover_ms', whole(now + holds_ms))
return { OK, now, now + holds_ms }
