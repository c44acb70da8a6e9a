-- armed_batches(closed_after_ms) -> any number of rows
-- Batches whose candidates may still come, or come back for their receipt.
SELECT batch_id FROM batch
WHERE armed_ms IS NOT NULL AND starts_ms + duration_s * 1000::bigint > $1
ORDER BY starts_ms, batch_id
