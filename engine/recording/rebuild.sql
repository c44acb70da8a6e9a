-- armed_batches(closed_after_ms) -> any number of rows
-- Batches whose candidates may still come, or come back for their receipt.
SELECT * FROM batch
WHERE armed_ms IS NOT NULL AND starts_ms + duration_s * 1000::bigint > $1
ORDER BY starts_ms, batch_id

-- find_seal(batch_id) -> at most one row
-- The sealed paper and its wrapped key.
SELECT * FROM seal WHERE batch_id = $1

-- sittings_in(batch_id, partitions) -> any number of rows
-- Who belongs into the partitions to be built.
SELECT * FROM sitting WHERE batch_id = $1 AND partition = ANY ($2::smallint[]) ORDER BY sitting_id

-- responses_of(sitting_ids) -> any number of rows
-- Their newest recorded responses.
SELECT sitting_id, item, seq, value FROM response WHERE sitting_id = ANY ($1::text[])
