-- Put the marker of a partition that has just been built from PostgreSQL: from here on it takes saves.
-- KEYS  1 marker, 2 log
-- ARGV  1 generation to begin with, above everything PostgreSQL has seen
-- Returns { outcome }
local meta_key, log_key = KEYS[1], KEYS[2]
local generation = tonumber(ARGV[1])
local stored = redis.call('HGET', meta_key, 'generation')
if stored and tonumber(stored) >= generation then
    return { OK }
end
local partition = { meta_key = meta_key, log_key = log_key, generation = generation, n = 0 }
redis.call('HSET', meta_key, 'run_id', run_id, 'generation', whole(generation), 'n', 0, 'committed', 0)
append(partition, { 'at', whole(now_ms()), 'raised', 'rebuilt' })
return { OK }
