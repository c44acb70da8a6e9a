-- lock_batch(batch_id) -> at most one row
-- The batch, held against arming, pushes and laying while what its last arming left in Redis is withdrawn.
SELECT batch_id FROM batch WHERE batch_id = $1 FOR NO KEY UPDATE

-- disarmings_of(batch_id, with_withdrawn) -> any number of rows
-- Its armings that were undone and are still in Redis, or all of them.
SELECT disarmed_ms, armed_ids, sealed_digests FROM disarming
WHERE batch_id = $1 AND ($2 OR NOT is_withdrawn) ORDER BY disarmed_ms

-- sittings_of(batch_id, disarmed_ms, partitions) -> any number of rows
-- The sittings that such an arming had, under the ids of then; null for all partitions.
SELECT sitting_id FROM withdrawn_sitting
WHERE batch_id = $1 AND disarmed_ms = $2 AND ($3::smallint[] IS NULL OR partition = ANY ($3::smallint[]))
ORDER BY sitting_id

-- still_sealed(sealed_digests) -> any number of rows
-- Which of these sealed papers are in force again: a package is sealed only once, and may have been armed again.
SELECT sealed_digest FROM seal WHERE sealed_digest = ANY ($1::text[])

-- mark_withdrawn(batch_id, disarmed_ms) -> none
-- Redis holds nothing of it any more.
UPDATE disarming SET is_withdrawn = true WHERE batch_id = $1 AND disarmed_ms = $2

-- unwithdrawn() -> any number of rows
-- Batches of which a worker could not withdraw everything.
SELECT DISTINCT batch_id FROM disarming WHERE NOT is_withdrawn ORDER BY batch_id

-- disarmed_after(after_ms) -> any number of rows
-- Batches whose arming was undone lately: a Redis that was put back may hold it again.
SELECT DISTINCT batch_id FROM disarming WHERE disarmed_ms > $1 ORDER BY batch_id
