-- What has happened in a partition that candidates with open channels must hear of.
-- KEYS  1 marker, 2 log, 3 news
-- ARGV  1 generation and 2 number of the newest news that is known; of another generation only the number now is told
-- Returns { outcome, generation, position, committed, server ms, number of the newest news,
--           1 if some in between are no longer kept, then sitting id and words of each that is new … }
local meta_key, log_key, news_key = KEYS[1], KEYS[2], KEYS[3]
local generation = ARGV[1]
local known = tonumber(ARGV[2])

local partition = open_partition(meta_key, log_key)
if not partition then
    return { LOST }
end
local told = tonumber(redis.call('HGET', meta_key, 'told') or '0')
local answer = { OK, partition.generation, partition.n, partition.committed, now_ms(), told, 0 }
if whole(partition.generation) == generation and told ~= known then
    local found = redis.pcall('XRANGE', news_key, '(' .. generation .. '-' .. whole(known), '+')
    if #found ~= told - known then
        answer[7] = 1
    end
    for _, news in ipairs(found) do
        for _, part in ipairs(news[2]) do
            answer[#answer + 1] = part
        end
    end
end
return answer
