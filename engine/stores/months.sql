-- armed_spans(ended_after_ms) -> any number of rows
-- When armed batches happen that are not long over.
SELECT starts_ms, starts_ms + duration_s * 1000::bigint AS ends_ms FROM batch
WHERE armed_ms IS NOT NULL AND starts_ms + duration_s * 1000::bigint > $1

-- attached(tables) -> one row per partition
-- The partitions that the tables really have; a table of that name which is not attached takes no row.
SELECT child.relname AS name
FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
WHERE parent.relname = ANY ($1::text[]) AND parent.relnamespace = current_schema()::regnamespace

-- stray_months() -> any number of rows
-- First moments of the months whose rows lie in the default partition. What no calendar prints is left there.
SELECT DISTINCT (extract(epoch FROM date_trunc('month', to_timestamp({column} / 1000), 'UTC')) * 1000)::bigint AS first_ms
FROM {table}_default
WHERE {column} BETWEEN 0 AND 253402300799000
ORDER BY first_ms
LIMIT 100

-- take_turn(lock) -> none
-- One maker of months at a time, until the transaction ends.
SELECT pg_advisory_xact_lock($1)

-- limit_waiting(lock_timeout) -> none
-- For the locks of this transaction, as `2000ms`.
SELECT set_config('lock_timeout', $1, true)

-- make_month(table, first_ms) -> none
-- Built beside the table, filled with what had to lie in the default partition, and attached: recording goes on.
SELECT make_month($1, $2)
