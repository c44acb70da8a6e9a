-- Begin to restore PostgreSQL from this partition, which knows that PostgreSQL once held more than it does now.
-- What it has told candidates of `committed` is true no longer: a new generation begins, once for each restoring.
-- KEYS  1 marker, 2 log
-- ARGV  1 where PostgreSQL stands now, `generation-n`, 2 the last building that it knows of
-- Returns { outcome, `generation-n` up to which PostgreSQL once held the log, the building this partition is from }
local meta_key, log_key = KEYS[1], KEYS[2]
local stands = ARGV[1] .. '/' .. ARGV[2]
local partition = open_partition(meta_key, log_key)
if not partition then
    return { LOST }
end
local marker = redis.call('HMGET', meta_key, 'reached', 'restoring', 'built')
local reached, restoring, built = marker[1] or '0-0', marker[2], marker[3] or '0'
if restoring ~= stands then
    redis.call('HSET', meta_key, 'restoring', stands)
    raise_generation(partition, whole(partition.generation) .. '-' .. whole(partition.n))
end
return { OK, reached, built }
