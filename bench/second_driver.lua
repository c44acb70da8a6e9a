-- For wrk: save calls as driver.c sends them, so that a second program, which is not ours, can be asked.
-- Arguments: file of tokens, file of items (id and values, separated by tabs), first seq.
local tokens, items, seqs = {}, {}, {}
local first

function init(args)
    for token in io.lines(args[1]) do
        tokens[#tokens + 1] = token
    end
    for line in io.lines(args[2]) do
        local parts = {}
        for part in string.gmatch(line, '[^\t]+') do
            parts[#parts + 1] = part
        end
        items[#items + 1] = parts
    end
    first = tonumber(args[3])
    math.randomseed(first)
end

function request()
    local sitting = math.random(#tokens)
    local item = items[math.random(#items)]
    local seq = seqs[sitting] or first
    seqs[sitting] = seq + 1
    local body = '{"changes":[{"item":"' .. item[1] .. '","seq":' .. seq .. ',"value":' .. item[math.random(2, #item)] .. '}]}'
    return 'POST /v1/sitting/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ' .. tokens[sitting]
        .. '\r\nContent-Type: application/json\r\nContent-Length: ' .. #body .. '\r\n\r\n' .. body
end

function done(summary, latency, requests)
    local failed = summary.errors
    io.write(string.format('\n{"requests":%d,"seconds":%.6f,"failed":%d}\n', summary.requests, summary.duration / 1e6,
        failed.connect + failed.read + failed.write + failed.status + failed.timeout))
end
