-- Note in a partition's log that a batch was laid ready in it, after it was: a Redis that is put back to before that ends
-- before what PostgreSQL has recorded, and is rebuilt. Without a marker it is being built, and laid whole.
-- KEYS  1 marker, 2 log
-- ARGV  1 batch id
-- Returns { outcome }
local batch_id = ARGV[1]

local partition = open_partition(KEYS[1], KEYS[2])
if not partition then
    return { LOST }
end
if not is_sound(partition) then
    return { CORRUPT }
end
append(partition, { 'at', whole(now_ms()), 'laid', batch_id })
return { OK }
