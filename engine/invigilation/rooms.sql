-- batches_between(from_ms, to_ms) -> any number of rows
-- Armed batches that start in [from, to), with how many sit in how many rooms.
SELECT batch.*, counted.sittings, counted.rooms
FROM batch, LATERAL (
    SELECT count(*) AS sittings, count(DISTINCT (site, room)) AS rooms FROM sitting WHERE sitting.batch_id = batch.batch_id
) AS counted
WHERE armed_ms IS NOT NULL AND starts_ms >= $1 AND starts_ms < $2
ORDER BY starts_ms, batch_id

-- find_batch(batch_id) -> at most one row
-- One batch, armed or not.
SELECT * FROM batch WHERE batch_id = $1

-- count_rooms(batch_id) -> one row per room, recorded state and extra time
-- The rest of a state is a function of time, applied by the reader.
SELECT site, room, state, extra_time_s, count(*) AS sittings
FROM sitting WHERE batch_id = $1 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2
