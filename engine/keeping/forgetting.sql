-- buildings() -> one row per partition
-- The last building of each.
SELECT partition, built FROM recording

-- seals_of(batch_id) -> one row per form
-- The sealed papers of its forms, and since when they have other names than the batch's.
SELECT seal.form, seal.sealed_digest, batch.disarmed_ms FROM seal JOIN batch USING (batch_id) WHERE batch_id = $1

-- disarmings_of(batch_id) -> any number of rows
-- Under which names Redis knew the papers of armings that were undone.
SELECT armed_ids FROM disarming WHERE batch_id = $1
