-- Read a partition's log beyond what is recorded: as many whole entries as fit, and one at least.
-- XRANGE counts entries, but one entry may be a hundred bytes or two million: only here is its size known beforehand.
-- KEYS  1 log
-- ARGV  1 generation and 2 position that are recorded, 3 bytes to stay below
-- Returns { outcome, 1 when the log goes on, else 0; then per entry { id, { field, value, ... } } }
local log_key = KEYS[1]
local after = ARGV[1] .. '-' .. ARGV[2]
local bytes_left = tonumber(ARGV[3])
local reply = { OK, 0 }
local count = 2 -- grows: what turns out not to fit has been read in vain
local goes_on = true
while goes_on do
    local entries = redis.call('XRANGE', log_key, '(' .. after, '+', 'COUNT', count)
    for _, entry in ipairs(entries) do
        local entry_bytes = 0
        for _, part in ipairs(entry[2]) do
            entry_bytes = entry_bytes + #part
        end
        if entry_bytes > bytes_left and #reply > 2 then
            reply[2] = 1
            goes_on = false
            break
        end
        bytes_left = bytes_left - entry_bytes
        reply[#reply + 1] = entry
        after = entry[1]
    end
    goes_on = goes_on and #entries == count
    count = math.min(count * 2, 16)
end
return reply
