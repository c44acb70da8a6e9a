-- Tell candidates how far PostgreSQL holds the log, and trim the log to there.
-- KEYS  1 marker, 2 log
-- ARGV  1 generation and 2 position that PostgreSQL has committed
-- Returns { outcome }; LOST when this Redis has not come that far: it is not what it was, and nothing is told
local meta_key, log_key = KEYS[1], KEYS[2]
local generation, position = tonumber(ARGV[1]), tonumber(ARGV[2])
local marker = redis.call('HMGET', meta_key, 'generation', 'n', 'committed', 'reached', 'doubtful')
if not marker[1] then
    return { LOST }
end
local own_generation, n, committed = tonumber(marker[1]), tonumber(marker[2]), tonumber(marker[3])
if own_generation < generation or (own_generation == generation and n < position) then
    return { LOST }
end
if own_generation == generation and committed < position then
    redis.call('HSET', meta_key, 'committed', whole(position))
end
if own_generation == generation and marker[5] then
    redis.call('HDEL', meta_key, 'doubtful') -- the log was read on across the raise: it has lost nothing
end
local reached_generation, reached_position = string.match(marker[4] or '0-0', '^(%d+)-(%d+)$')
reached_generation, reached_position = tonumber(reached_generation), tonumber(reached_position)
if reached_generation < generation or (reached_generation == generation and reached_position < position) then
    redis.call('HSET', meta_key, 'reached', whole(generation) .. '-' .. whole(position))
end
redis.call('XTRIM', log_key, 'MINID', whole(generation) .. '-' .. whole(position + 1))
return { OK }
