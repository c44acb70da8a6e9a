-- Lay a sitting ready for its candidate, from PostgreSQL: at arming, when its roster row changes, at a rebuild.
-- What the candidate has done since is kept: state and epoch only move forward, responses only to a higher seq, what is
-- known of the photo stands unless it was only owed, and so does the form of who has entered.
-- KEYS  1 marker, 2 due set, 3 news, 4 sitting hash
-- ARGV  1 sitting id, 2 state, 3 epoch, 4 entered_ms, 5 closed_ms,
--       6 what PostgreSQL knows of the photo, or empty,
--       7 the form, or empty for a batch with a single paper,
--       8 number of fields, then field and value each (times, batch, card: always taken),
--       then item, seq and canonical JSON value per response
-- Returns { outcome }
local meta_key, due_key, news_key, sitting_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local sitting_id, state, epoch, entered_ms, closed_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local photo, form = ARGV[6], ARGV[7]
local field_count = tonumber(ARGV[8])
local RANK = { expected = 0, checked_in = 1, confirmed = 2, pledged = 3, collected = 4, absent = 4, submitted = 4, void = 5 }

local stored = redis.call('HMGET', sitting_key, 'state', 'epoch', 'high', 'ends_ms', 'photo')
local stored_state, stored_epoch, high = stored[1], tonumber(stored[2] or 0), tonumber(stored[3] or 0)
local writes = {}
for field = 1, field_count * 2 do
    writes[field] = ARGV[8 + field]
end
if form ~= '' and (not stored_state or stored_state == 'expected' or RANK[state] > RANK[stored_state]) then
    writes[#writes + 1] = 'form'
    writes[#writes + 1] = form
end
if not stored_state or RANK[state] > RANK[stored_state] then
    stored_state = state
    for _, part in ipairs({ 'state', state, 'entered_ms', entered_ms, 'closed_ms', closed_ms, 'seen_ms', '0' }) do
        writes[#writes + 1] = part
    end
end
if tonumber(epoch) >= stored_epoch then
    writes[#writes + 1] = 'epoch'
    writes[#writes + 1] = epoch
end
if photo ~= '' and (not stored[5] or stored[5] == 'owed') then
    writes[#writes + 1] = 'photo'
    writes[#writes + 1] = photo
end
for at = 9 + field_count * 2, #ARGV, 3 do
    local item, seq, value = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local known = redis.call('HGET', sitting_key, 'r:' .. item)
    if not known or tonumber(string.match(known, '^%d+')) < tonumber(seq) then
        redis.call('HSET', sitting_key, 'r:' .. item, seq .. '|' .. value)
    end
    high = math.max(high, tonumber(seq))
end
writes[#writes + 1] = 'high'
writes[#writes + 1] = whole(high)
redis.call('HSET', sitting_key, unpack(writes))
-- Without a marker the partition is being built: then every worker looks at all its sittings again.
local generation = redis.call('HGET', meta_key, 'generation')
if generation and stored[4] and stored[4] ~= redis.call('HGET', sitting_key, 'ends_ms') then
    tell({ meta_key = meta_key, generation = tonumber(generation) }, news_key, { sitting_id, 'time' })
end
if RANK[stored_state] < 4 then
    local due = redis.call('HMGET', sitting_key, 'entry_ms', 'closes_ms')
    redis.call('ZADD', due_key, stored_state == 'expected' and due[1] or due[2], sitting_id)
else
    redis.call('ZREM', due_key, sitting_id)
end
return { OK }
