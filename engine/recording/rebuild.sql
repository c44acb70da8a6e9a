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

-- order_building(partitions, numbers, owner) -> one row per partition
-- Whatever Redis was before this building will be known by its older number, should it ever be put back.
UPDATE recording SET built = greatest(wanted.built, recording.built + 1)
FROM unnest($1::smallint[], $2::bigint[]) AS wanted (partition, built)
WHERE recording.partition = wanted.partition AND recording.leased_by = $3
RETURNING recording.partition, recording.built

-- find_ordered(partitions) -> one row per partition
-- The last building of each that anybody began.
SELECT partition, built FROM recording WHERE partition = ANY ($1::smallint[])
