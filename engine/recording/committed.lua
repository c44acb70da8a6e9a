-- Tell candidates how far PostgreSQL holds the log, and trim the log to there.
-- KEYS  1 marker, 2 log
-- ARGV  1 generation and 2 position that PostgreSQL has committed
-- Returns { outcome }
local meta_key, log_key = KEYS[1], KEYS[2]
local generation, position = ARGV[1], ARGV[2]
local marker = redis.call('HMGET', meta_key, 'generation', 'committed')
if not marker[1] then
    return { LOST }
end
if marker[1] == generation and tonumber(marker[2]) < tonumber(position) then
    redis.call('HSET', meta_key, 'committed', position)
end
redis.call('XTRIM', log_key, 'MINID', generation .. '-' .. whole(tonumber(position) + 1))
return { OK }
