-- add_partitions(partitions) -> none
-- Rows for a new deployment; existing ones stay.
INSERT INTO recording (partition) SELECT generate_series(0, $1 - 1) ON CONFLICT DO NOTHING

-- renew(owner, lease_s) -> none
-- This recorder lives. Its own row alone is touched: no transaction that records anything can make this wait.
INSERT INTO recorder (owner, alive_until) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (owner) DO UPDATE SET alive_until = excluded.alive_until

-- view(longest_s) -> one row per partition
-- Who holds what, and whether that recorder lives; PostgreSQL's clock decides.
SELECT partition, generation, position, leased_by,
    -- A life that would last longer than any can was promised before that clock was set back: its recorder has renewed
    -- it since, or is dead.
    coalesce(alive_until BETWEEN clock_timestamp() AND clock_timestamp() + make_interval(secs => $1), false) AS is_held
FROM recording LEFT JOIN recorder ON recorder.owner = recording.leased_by
ORDER BY partition

-- living(owner, longest_s) -> one row
-- How many recorders live, and in how many seconds the first of the others is dead unless it renews.
SELECT count(*) AS recorders,
    (extract(epoch FROM min(alive_until) FILTER (WHERE owner <> $1) - clock_timestamp()))::float8 AS first_ends_s
FROM recorder WHERE alive_until BETWEEN clock_timestamp() AND clock_timestamp() + make_interval(secs => $2)

-- claim(owner, partitions, left_by) -> one row per partition claimed
-- Only as seen: whoever came first has it. A row that a transaction of the dead holder still locks is left out.
UPDATE recording SET leased_by = $1
FROM (
    SELECT recording.partition
    FROM recording JOIN unnest($2::smallint[], $3::text[]) AS seen (partition, left_by)
        ON recording.partition = seen.partition AND recording.leased_by = seen.left_by
    ORDER BY recording.partition
    FOR NO KEY UPDATE OF recording SKIP LOCKED
) AS free
WHERE recording.partition = free.partition
RETURNING recording.partition, generation, position

-- end_sessions(owners) -> one row per session
-- A dead recorder's open transactions are undone, so that what they lock becomes free; it may only be frozen.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = ANY ($1::text[]) AND usename = current_user AND pid <> pg_backend_pid()

-- give_back(owner, partitions) -> none
-- What is more than a fair share; a row that is being recorded at this moment is given back the next time.
UPDATE recording SET leased_by = ''
WHERE partition IN (
    SELECT partition FROM recording WHERE leased_by = $1 AND partition = ANY ($2::smallint[])
    ORDER BY partition FOR NO KEY UPDATE SKIP LOCKED
)

-- leave(owner) -> none
-- A recorder that stops lets others begin at once.
WITH gone AS (DELETE FROM recorder WHERE owner = $1)
UPDATE recording SET leased_by = '' WHERE leased_by = $1

-- forget_dead() -> none
-- Recorders that have been dead for a day and hold nothing.
DELETE FROM recorder
WHERE alive_until < clock_timestamp() - interval '1 day'
  AND NOT EXISTS (SELECT 1 FROM recording WHERE leased_by = owner)
