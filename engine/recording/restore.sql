-- move_position(partition, old_generation, old_position, new_generation, new_position, owner) -> at most one row
-- To where PostgreSQL once stood, after its rows; only for the holder of the lease, only from where restoring began.
UPDATE recording SET generation = $4, position = $5
WHERE partition = $1 AND generation = $2 AND position = $3 AND leased_by = $6
RETURNING partition

-- leap_publication(now_ms) -> none
-- Numbers in the feed count from this moment on: above any that was given by the state that was lost.
UPDATE feed SET last_publication = greatest(last_publication, $1)
