-- lock_log(batch_id) -> one row
-- Writers of one batch take turns until they commit, so that a number once visible has none below it still to come.
SELECT pg_advisory_xact_lock(hashtextextended('batch_event ' || $1::text, 0))

-- insert_event(batch_id, kind, at_ms, people, key_id, before, after) -> none
-- One thing that was done to a batch.
INSERT INTO batch_event (batch_id, kind, at_ms, people, key_id, before, after)
VALUES ($1, $2, $3, $4::text[], $5, $6::jsonb, $7::jsonb)

-- page_of_log(batch_id, after, rows_max) -> up to rows_max rows
-- A batch's log in the order in which it was written.
SELECT number, kind, at_ms, people, key_id, before, after
FROM batch_event WHERE batch_id = $1 AND number > $2 ORDER BY number LIMIT $3
