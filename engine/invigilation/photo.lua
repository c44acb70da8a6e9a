-- What is known of a sitting's photo: look at it, or write it down, by the candidate or for a proctor.
-- Nothing here opens or closes an exam; a candidate's photo is taken from the pledge to the end, one that was owed later,
-- too: it is the very picture that was shown in time, told by its digest.
-- KEYS  1 marker, 2 log, 3 news, 4 sitting hash
-- ARGV  1 sitting id, 2 epoch of the candidate's token, or empty for a proctor, 3 what is known from now on, or empty to
--       look, 4 hex digest of the picture, or empty, 5 ms when it was taken, or 0 for now
-- Returns { outcome, server ms, state, photo or '', digest it is known by or '', ms when it was taken or '0' }
local meta_key, log_key, news_key, sitting_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local sitting_id, epoch = ARGV[1], ARGV[2]
local photo, digest, taken_ms = ARGV[3], ARGV[4], tonumber(ARGV[5])

local partition = open_partition(meta_key, log_key)
if not partition then
    return { LOST }
end
local now = now_ms()
local sitting = redis.call('HMGET', sitting_key, 'state', 'epoch', 'closes_ms', 'photo', 'photo_digest', 'photo_ms')
local state, stored_epoch, closes_ms, known, known_digest, known_ms = unpack(sitting, 1, 6)
if not state then
    return { UNKNOWN }
end
if epoch ~= '' then
    local outcome = admit(state, stored_epoch, closes_ms, epoch, now)
    if outcome == CLOSED and known == 'owed' and digest ~= '' and digest == known_digest then
        outcome = OK
    elseif outcome == OK and state ~= 'pledged' then
        outcome = ORDER
    end
    if outcome ~= OK then
        return { outcome, now, state, known or '', known_digest or '', known_ms or '0' }
    end
end

if photo ~= '' and (photo ~= known or digest ~= (known_digest or '')) then
    if not is_sound(partition) then
        return { CORRUPT }
    end
    known, known_digest = photo, digest
    known_ms = whole(taken_ms > 0 and taken_ms or now)
    redis.call('HSET', sitting_key, 'photo', known, 'photo_digest', known_digest, 'photo_ms', known_ms)
    local entry = { 'at', whole(now) }
    event(entry, sitting_id, 'photo_' .. photo, state, stored_epoch, now)
    append(partition, entry)
    tell(partition, news_key, { sitting_id, 'photo:' .. photo })
end
return { OK, now, state, known or '', known_digest or '', known_ms or '0' }
