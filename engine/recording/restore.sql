-- move_position(partition, old_generation, old_position, new_generation, new_position, owner, built) -> at most one row
-- To where PostgreSQL once stood, after its rows; only for the holder of the lease, only from where restoring began.
UPDATE recording SET generation = $4, position = $5, built = greatest(built, $7)
WHERE partition = $1 AND generation = $2 AND position = $3 AND leased_by = $6
RETURNING partition
