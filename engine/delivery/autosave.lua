-- Save a chunk: many save calls of one partition, each checked by itself, one log entry for all.
-- KEYS  1 marker, 2 log, 3.. one sitting hash per save call
-- ARGV  per save call: sitting id, epoch, number of changes, then item, seq, canonical JSON value per change
-- Returns { outcome of the partition, generation, position, committed, then one outcome per save call };
--       every change of a call that came out OK is on disk at or before `position`.
--
-- No call may fail once anything is written: what another wrote would stand without its log entry, and its repetition
-- would be taken for stale. So the log is asked first, and a sitting that cannot be read is CORRUPT for itself alone.
--
-- Nearly every call has one change, and Redis's time per save is what bounds an installation: such a call costs one
-- HMGET and one HSET, and makes no table.
local partition = open_partition(KEYS[1], KEYS[2])
if not partition then
    return { LOST }
end
if not is_sound(partition) then
    return { CORRUPT }
end
local call, pcall_redis = redis.call, redis.pcall
local now = now_ms()
local seen = whole(now)
local reply = { OK, partition.generation, 0, 0 }
local entry = { 'at', seen }
local held_at = {} -- sitting id -> where its changes stand in the entry: two calls of one sitting make one field

local function log(sitting_id, changes)
    local at = held_at[sitting_id]
    if at then
        entry[at] = entry[at] .. ',' .. changes
    else
        at = #entry + 2
        held_at[sitting_id] = at
        entry[at - 1] = 's:' .. sitting_id
        entry[at] = '[' .. changes
    end
end

-- May this call save now? The answer for every sitting that has not started, or where a step is missing, comes last.
local function may_save(sitting, epoch)
    if sitting.err then
        return CORRUPT
    end
    local state, stored_epoch, closes_ms, starts_ms = sitting[1], sitting[2], tonumber(sitting[3]), tonumber(sitting[4])
    if state and not (closes_ms and starts_ms and tonumber(sitting[5])) then
        return CORRUPT
    end
    local outcome = admit(state, stored_epoch, closes_ms, epoch, now)
    if outcome ~= OK then
        return outcome
    end
    if now < starts_ms then
        return NOT_OPEN
    end
    if state ~= 'pledged' then
        return ORDER
    end
    return OK
end

local function seq_of(stored)
    return stored and tonumber(string.match(stored, '^%d+')) or 0
end

local function save_one(sitting_key, sitting_id, epoch, item, seq_text, value)
    local field = 'r:' .. item
    local sitting = pcall_redis('HMGET', sitting_key, 'state', 'epoch', 'closes_ms', 'starts_ms', 'high', field)
    local outcome = may_save(sitting, epoch)
    if outcome ~= OK then
        return outcome
    end
    local seq = tonumber(seq_text)
    local high = seq > tonumber(sitting[5]) and seq_text or sitting[5]
    if seq > seq_of(sitting[6]) then
        call('HSET', sitting_key, 'seen_ms', seen, 'high', high, field, seq_text .. '|' .. value)
        log(sitting_id, '["' .. item .. '",' .. seq_text .. ',' .. value .. ']')
    else
        call('HSET', sitting_key, 'seen_ms', seen, 'high', high)
    end
    return OK
end

local function save_many(sitting_key, sitting_id, epoch, first, count)
    local fields = {}
    for change = 1, count do
        fields[change] = 'r:' .. ARGV[first + (change - 1) * 3]
    end
    local sitting = pcall_redis('HMGET', sitting_key, 'state', 'epoch', 'closes_ms', 'starts_ms', 'high', unpack(fields))
    local outcome = may_save(sitting, epoch)
    if outcome ~= OK then
        return outcome
    end
    local newest = {} -- field -> seq: one call may hold several changes of one item
    local high = sitting[5]
    local writes = { 'seen_ms', seen }
    local logged = {}
    for change = 1, count do
        local at = first + (change - 1) * 3
        local seq_text, value, field = ARGV[at + 1], ARGV[at + 2], fields[change]
        local seq = tonumber(seq_text)
        if seq > (newest[field] or seq_of(sitting[5 + change])) then
            newest[field] = seq
            writes[#writes + 1] = field
            writes[#writes + 1] = seq_text .. '|' .. value
            logged[#logged + 1] = '["' .. ARGV[at] .. '",' .. seq_text .. ',' .. value .. ']'
        end
        if seq > tonumber(high) then
            high = seq_text
        end
    end
    writes[#writes + 1] = 'high'
    writes[#writes + 1] = high
    call('HSET', sitting_key, unpack(writes))
    if #logged > 0 then
        log(sitting_id, table.concat(logged, ','))
    end
    return OK
end

local at = 1
for index = 3, #KEYS do
    local count = ARGV[at + 2]
    if count == '1' then
        reply[index + 2] = save_one(KEYS[index], ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
        at = at + 6
    else
        count = tonumber(count)
        reply[index + 2] = save_many(KEYS[index], ARGV[at], ARGV[at + 1], at + 3, count)
        at = at + 3 + count * 3
    end
end
if #entry > 2 then
    for held = 4, #entry, 2 do
        entry[held] = entry[held] .. ']'
    end
    append(partition, entry)
end
reply[3] = partition.n
reply[4] = partition.committed
return reply
