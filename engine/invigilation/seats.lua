-- How the candidates of one room stand, as far as their sittings lie in this partition.
-- Whose page has an open channel is not known here: the workers are asked to note it (news `look`), and the next call sees.
-- KEYS  1 marker, 2 log, 3 news, 4.. sitting hashes
-- ARGV  1 after how many ms without a sign of life to ask, then the sitting ids in the same order
-- Returns { outcome, server ms, then per sitting { outcome, state, ends_ms, seen_ms, takeover_ms, asked_ms, answered } }
local news_key = KEYS[3]
local quiet_ms = tonumber(ARGV[1])

local partition = open_partition(KEYS[1], KEYS[2])
if not partition then
    return { LOST }
end
local now = now_ms()
local answer = { OK, now }
local asked = {}
for index = 2, #ARGV do
    -- Whole hashes: a room asks every few seconds, and most answers are a letter.
    local found = redis.pcall('HGETALL', KEYS[index + 2])
    local sitting, answered = {}, 0
    if not found.err then
        for at = 1, #found, 2 do
            local field, content = found[at], found[at + 1]
            if string.sub(field, 1, 2) ~= 'r:' then
                sitting[field] = content
            elseif not string.find(content, '|null', -5, true) then
                answered = answered + 1
            end
        end
    end
    local seen_ms = tonumber(sitting.seen_ms)
    if found.err or (sitting.state and not (seen_ms and tonumber(sitting.ends_ms))) then
        answer[index + 1] = { CORRUPT }
    elseif not sitting.state then
        answer[index + 1] = { UNKNOWN }
    else
        local takeover_ms, asked_ms = sitting.takeover_ms or '0', sitting.asked_ms or '0'
        answer[index + 1] = { OK, sitting.state, sitting.ends_ms, sitting.seen_ms, takeover_ms, asked_ms, answered }
        local is_in = sitting.state == 'checked_in' or sitting.state == 'confirmed' or sitting.state == 'pledged'
        if is_in and now - seen_ms > quiet_ms then
            asked[#asked + 1] = ARGV[index]
            asked[#asked + 1] = 'look'
        end
    end
end
if #asked > 0 then
    tell(partition, news_key, asked)
end
return answer
