-- Save a chunk: many save calls of one partition, each checked by itself, one log entry for all.
-- KEYS  1 marker, 2 log, 3.. one sitting hash per save call
-- ARGV  per save call: sitting id, epoch, number of changes, then item, seq, canonical JSON value per change
-- Returns { outcome of the partition, generation, position, committed, then one outcome per save call };
--       every change of a call that came out OK is on disk at or before `position`.
local meta_key, log_key = KEYS[1], KEYS[2]
local partition = open_partition(meta_key, log_key)
if not partition then
    return { LOST }
end
local now = now_ms()
local reply = { OK, partition.generation, 0, 0 }
local changes = {} -- sitting id -> its accepted changes: two calls of one sitting make one field of the entry
local changed = {} -- the sitting ids in the order of their first change

local function save(sitting_key, sitting_id, epoch, first, count)
    local sitting = redis.call('HMGET', sitting_key, 'state', 'epoch', 'closes_ms', 'starts_ms', 'high')
    local state, stored_epoch, closes_ms, starts_ms, high = unpack(sitting, 1, 5)
    local outcome = admit(state, stored_epoch, closes_ms, epoch, now)
    if outcome ~= OK then
        return outcome
    end
    if now < tonumber(starts_ms) then
        return NOT_OPEN
    end
    if state ~= 'pledged' then
        return ORDER
    end

    local fields = {}
    for change = 1, count do
        fields[change] = 'r:' .. ARGV[first + (change - 1) * 3]
    end
    local stored = redis.call('HMGET', sitting_key, unpack(fields))
    local newest = {} -- field -> seq: one call may hold several changes of one item
    local highest = tonumber(high)
    local writes = { 'seen_ms', whole(now) }
    local logged = {}
    for change = 1, count do
        local at = first + (change - 1) * 3
        local item, seq_text, value = ARGV[at], ARGV[at + 1], ARGV[at + 2]
        local seq = tonumber(seq_text)
        local field = fields[change]
        local known = newest[field] or (stored[change] and tonumber(string.match(stored[change], '^%d+'))) or 0
        if seq > known then
            newest[field] = seq
            writes[#writes + 1] = field
            writes[#writes + 1] = seq_text .. '|' .. value
            logged[#logged + 1] = '["' .. item .. '",' .. seq_text .. ',' .. value .. ']'
        end
        if seq > highest then
            highest = seq
        end
    end
    writes[#writes + 1] = 'high'
    writes[#writes + 1] = whole(highest)
    redis.call('HSET', sitting_key, unpack(writes))
    if #logged > 0 and not changes[sitting_id] then
        changes[sitting_id] = {}
        changed[#changed + 1] = sitting_id
    end
    for _, change in ipairs(logged) do
        table.insert(changes[sitting_id], change)
    end
    return OK
end

local at = 1
for call = 3, #KEYS do
    local sitting_id, epoch, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
    reply[#reply + 1] = save(KEYS[call], sitting_id, epoch, at + 3, count)
    at = at + 3 + count * 3
end
if #changed > 0 then
    local entry = { 'at', whole(now) }
    for _, sitting_id in ipairs(changed) do
        entry[#entry + 1] = 's:' .. sitting_id
        entry[#entry + 1] = '[' .. table.concat(changes[sitting_id], ',') .. ']'
    end
    append(partition, entry)
end
reply[3] = partition.n
reply[4] = partition.committed
return reply
