-- insert_event(batch_id, kind, at_ms, people, key_id, before, after) -> none
-- One thing that was done to a batch. Its number is drawn in its turn, which ends with the transaction: once it is visible no lower one comes.
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended('batch_event ' || $1::text, 0)))
INSERT INTO batch_event (batch_id, kind, at_ms, people, key_id, before, after)
SELECT $1, $2, $3, $4::text[], $5, $6::jsonb, $7::jsonb FROM turn

-- page_of_log(batch_id, after, rows_max) -> up to rows_max rows
-- A batch's log in the order in which it was written.
SELECT number, kind, at_ms, people, key_id, before, after
FROM batch_event WHERE batch_id = $1 AND number > $2 ORDER BY number LIMIT $3
