-- armed_batches(closed_after_ms) -> any number of rows
-- Batches whose candidates may still come, or come back for their receipt.
SELECT batch_id FROM batch
WHERE armed_ms IS NOT NULL AND starts_ms + duration_s * 1000::bigint > $1
ORDER BY starts_ms, batch_id

-- begin_partitions(partitions, generation, position, owner) -> one row per partition
-- They have been given out: whoever finds them missing in Redis from now on knows that something may be lost.
UPDATE recording SET generation = $2, position = $3
WHERE partition = ANY ($1::smallint[]) AND generation = 0 AND position = 0 AND leased_by = $4
RETURNING partition
