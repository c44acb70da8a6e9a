-- The head of every partition script: the loader puts it in front of each.
--
-- A partition is `{pNN}:meta` (marker), `{pNN}:log` (stream) and `{pNN}:s:<sitting>` (hashes).
-- The marker holds: run_id     of the server that wrote last
--                   generation raised whenever that changes: Redis may not be what it was
--                   n          position of the newest log entry in this generation
--                   committed  position up to which PostgreSQL holds this generation
--                   told       number of the newest news (see `tell`)

-- The run id of this very server process stands behind the arguments of every call and is taken off here. The caller
-- learnt it on the connection that the call came on, and no connection outlives its server: INFO would cost 23 us.
local run_id = table.remove(ARGV)

-- Outcomes, the same as engine/rules/outcome.py.
local OK, LOST, UNKNOWN, SUPERSEDED, ORDER, NOT_OPEN = 0, 1, 2, 3, 4, 5
local CLOSED, TOO_EARLY, TOO_LATE, ELSEWHERE, BEHIND = 6, 7, 8, 9, 10

-- Lua prints large numbers as 1.7e+12: instants and positions are printed whole.
local function whole(number)
    return string.format('%.0f', number)
end

local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Write one log entry; its id is `generation-n` from the partition's own counter, never from a clock.
local function append(partition, fields)
    partition.n = partition.n + 1
    redis.call('XADD', partition.log_key, whole(partition.generation) .. '-' .. whole(partition.n), unpack(fields))
    redis.call('HSET', partition.meta_key, 'n', whole(partition.n))
end

-- The partition, or nil when its marker is missing. The raise is an entry of its own, so that `committed` of the new
-- generation cannot be reached before everything of the old one is recorded.
local function open_partition(meta_key, log_key)
    local marker = redis.call('HMGET', meta_key, 'run_id', 'generation', 'n', 'committed')
    if not marker[2] then
        return nil
    end
    local partition = {
        meta_key = meta_key,
        log_key = log_key,
        generation = tonumber(marker[2]),
        n = tonumber(marker[3]),
        committed = tonumber(marker[4]),
    }
    if marker[1] ~= run_id then
        local left = whole(partition.generation) .. '-' .. whole(partition.n)
        partition.generation = partition.generation + 1
        partition.n = 0
        partition.committed = 0
        redis.call('HSET', meta_key, 'run_id', run_id, 'generation', whole(partition.generation), 'n', 0, 'committed', 0)
        append(partition, { 'at', whole(now_ms()), 'raised', left })
    end
    return partition
end

-- May a candidate with this `epoch` act on the sitting now? `sitting` = its state, epoch and closes_ms as strings.
local function admit(state, stored_epoch, closes_ms, epoch, now)
    if not state then
        return UNKNOWN
    end
    if stored_epoch ~= epoch then
        return SUPERSEDED
    end
    if state == 'submitted' or state == 'collected' or state == 'absent' or state == 'void' then
        return CLOSED
    end
    if now >= tonumber(closes_ms) then
        return CLOSED
    end
    return OK
end

-- One event of a sitting as a log field pair.
local function event(fields, sitting_id, kind, state, epoch, at)
    fields[#fields + 1] = 'e:' .. sitting_id
    fields[#fields + 1] = '{"kind":"' .. kind .. '","state":"' .. state .. '","epoch":' .. epoch .. ',"at_ms":' .. whole(at) .. '}'
end

-- Tell the workers what candidates with open channels must hear of: `news` = sitting id, words, sitting id, words …
-- They look for it a few times a second and count, so that they notice what is not there, or no longer: nothing that
-- a candidate does may fail because it could not be told.
local NEWS_KEPT = 1000
local function tell(partition, news_key, news)
    local told = redis.call('HINCRBY', partition.meta_key, 'told', 1)
    local id = whole(partition.generation) .. '-' .. whole(told)
    redis.pcall('XADD', news_key, 'MAXLEN', '~', NEWS_KEPT, id, unpack(news))
end
