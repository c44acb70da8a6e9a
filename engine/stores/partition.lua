-- The head of every partition script: the loader puts it in front of each.
--
-- A partition is `{pNN}:meta` (marker), `{pNN}:log` (stream) and `{pNN}:s:<sitting>` (hashes).
-- The marker holds: run_id     of the server that wrote last
--                   generation raised whenever that changes: Redis may not be what it was
--                   n          position of the newest log entry in this generation
--                   committed  position up to which PostgreSQL holds this generation
--                   told       number of the newest news (see `tell`)
--                   reached    `generation-n` up to which PostgreSQL ever said that it holds the log, in any generation
--                   epoch_floor  epochs of new logins lie above it: below, some may have been issued and lost
--                   doubtful   since the run id changed nobody has compared this Redis with PostgreSQL
--                   mended     where PostgreSQL stood when this partition was last rebuilt
--                   built      the number of that building; PostgreSQL knows the newest it has ordered
--                   building   the number of the one that is under way: what is laid for it is all here, or this is not
--                   restoring  where PostgreSQL stood when restoring it from this partition began, and the last building
--                              that it knew of

-- The run id of this very server process stands behind the arguments of every call and is taken off here. The caller
-- learnt it on the connection that the call came on, and no connection outlives its server: INFO would cost 23 us.
local run_id = table.remove(ARGV)

-- Outcomes, the same as engine/rules/outcome.py.
local OK, LOST, UNKNOWN, SUPERSEDED, ORDER, NOT_OPEN = 0, 1, 2, 3, 4, 5
local CLOSED, TOO_EARLY, TOO_LATE, ELSEWHERE, BEHIND = 6, 7, 8, 9, 10
local CORRUPT = 11

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

-- Whether the log will take its next entry: it is a stream, and nothing stands beyond what the marker knows. A script
-- that has written cannot take it back when it fails, and a change without its log entry would never be recorded: so
-- whoever writes asks first. XREAD finds nothing, and costs about a microsecond.
local function takes_entries(log_key, generation, n)
    return not redis.pcall('XREAD', 'COUNT', 1, 'STREAMS', log_key, whole(generation) .. '-' .. whole(n))
end

local function is_sound(partition)
    return takes_entries(partition.log_key, partition.generation, partition.n)
end

-- Begin a generation above all that this Redis knows. Its number is the moment, so that a Redis that was put back to an
-- older state (and has forgotten which generations it began since) still issues none of them again. A clock that stepped
-- back is no way below the known ones either. The raise is an entry of its own, so that `committed` of the new
-- generation cannot be reached before everything of the old one is recorded. `left` says where that ended.
local function raise_generation(partition, left, at_least)
    local now = now_ms()
    partition.generation = math.max(now, partition.generation + 1, at_least or 0)
    partition.n = 0
    partition.committed = 0
    local generation = whole(partition.generation)
    redis.call('HSET', partition.meta_key, 'generation', generation, 'n', 0, 'committed', 0, 'epoch_floor', generation)
    append(partition, { 'at', whole(now), 'raised', left })
end

-- The partition, or nil when its marker is missing, or cannot be read as one.
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
    if not (partition.generation and partition.n and partition.committed) then
        return nil
    end
    if marker[1] ~= run_id then
        if not is_sound(partition) then
            return nil
        end
        redis.call('HSET', meta_key, 'run_id', run_id, 'doubtful', 1)
        raise_generation(partition, whole(partition.generation) .. '-' .. whole(partition.n))
    end
    return partition
end

-- Whether nobody has compared this Redis with PostgreSQL since it was restarted: it may have been put back to an older
-- state and lack responses. Saves go on; what is signed or final waits.
local function is_doubtful(partition)
    return redis.call('HEXISTS', partition.meta_key, 'doubtful') == 1
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

-- One event of a sitting as a log field pair; `form` only where it says which the sitting has.
local function event(fields, sitting_id, kind, state, epoch, at, form)
    fields[#fields + 1] = 'e:' .. sitting_id
    fields[#fields + 1] = '{"kind":"' .. kind .. '","state":"' .. state .. '","epoch":' .. epoch .. ',"at_ms":' .. whole(at)
        .. (form and ',"form":' .. form or '') .. '}'
end

-- Tell the workers what candidates with open channels must hear of: `news` = sitting id, words, sitting id, words …
-- They look for it a few times a second and count, so that they notice what is not there, or no longer: nothing that
-- a candidate does may fail because it could not be told.
local NEWS_KEPT = 1000 -- entries of a partition
local function tell(partition, news_key, news)
    local told = redis.call('HINCRBY', partition.meta_key, 'told', 1)
    local id = whole(partition.generation) .. '-' .. whole(told)
    redis.pcall('XADD', news_key, 'MAXLEN', '~', NEWS_KEPT, id, unpack(news))
end
