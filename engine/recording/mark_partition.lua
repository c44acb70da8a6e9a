-- Begin the generation of a partition that has just been built from PostgreSQL: from here on it takes saves.
-- Only if the marker is still the one that was judged, and nothing of this building can have been lost since it began:
-- another recorder may have done it, and recorded on, meanwhile. Whoever looks next sees what is to be done.
-- KEYS  1 marker, 2 log
-- ARGV  1 generation of the judged marker (empty: there was none), 2 where PostgreSQL stands, `generation-n`,
--       3 the number of this building, which PostgreSQL knows, 4 `fresh` for a partition that has never taken a login,
--       else empty
-- Returns { outcome }
local meta_key, log_key = KEYS[1], KEYS[2]
local judged, recorded, built, is_fresh = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == 'fresh'
local marker = redis.call('HMGET', meta_key, 'generation', 'building')
local stored, building = marker[1] or '', marker[2]
if stored ~= judged or building ~= built then
    return { OK }
end
local recorded_generation = tonumber(string.match(recorded, '^%d+'))
local partition = { meta_key = meta_key, log_key = log_key, generation = tonumber(stored) or 0 }
redis.call('HSET', meta_key, 'run_id', run_id, 'reached', recorded, 'mended', recorded, 'built', built)
redis.call('HDEL', meta_key, 'doubtful', 'building')
raise_generation(partition, 'rebuilt', recorded_generation + 1)
if is_fresh then
    redis.call('HSET', meta_key, 'epoch_floor', 0)
end
return { OK }
