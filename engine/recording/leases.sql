-- add_partitions(partitions) -> none
-- Rows for a new deployment; existing ones stay.
INSERT INTO recording (partition) SELECT generate_series(0, $1 - 1) ON CONFLICT DO NOTHING

-- count_partitions() -> one row
-- How many partitions this deployment was made with.
SELECT count(*) FROM recording

-- take(owner, lease_s) -> any number of rows
-- Keep what this recorder holds and take what nobody holds any more; PostgreSQL's clock decides.
UPDATE recording SET leased_by = $1, leased_until = clock_timestamp() + make_interval(secs => $2)
WHERE leased_by = $1 OR leased_until < clock_timestamp()
RETURNING partition, generation, position

-- give_back(owner) -> none
-- A recorder that stops lets others begin at once.
UPDATE recording SET leased_by = '', leased_until = '-infinity' WHERE leased_by = $1
