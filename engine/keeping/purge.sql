-- take_turn(batch_id) -> one row
-- Whether nobody else purges this batch now; held until the connection ends, however it ends.
SELECT pg_try_advisory_lock(hashtextextended('purge ' || $1::text, 0))

-- lock_batch(batch_id) -> none
-- Whoever proposes a regrade or counts waits, and then sees that it is being erased.
SELECT 1 FROM batch WHERE batch_id = $1 FOR NO KEY UPDATE

-- lock_log(batch_id) -> one row
-- What is being done to the batch is done first, and shows: the lock of `engine/batch_log.sql`.
SELECT pg_advisory_xact_lock(hashtextextended('batch_event ' || $1::text, 0))

-- last_done(batch_id) -> one row
-- The numbers of what was done to it last, and of the last counting of its items.
SELECT coalesce((SELECT max(number) FROM batch_event WHERE batch_id = $1), 0) AS event,
    coalesce((SELECT max(number) FROM item_statistics WHERE batch_id = $1), 0) AS counting

-- find_erasing(batch_id) -> at most one row
-- How far an erasing of it is; none when nothing was erased yet.
SELECT archive_digest, closed_ms, kind, rows, answers_erased_ms FROM erasing WHERE batch_id = $1

-- open_regrade(batch_id) -> at most one row
-- A regrade that is still to be tried or decided upon.
SELECT regrade_id FROM regrade WHERE batch_id = $1 AND state IN ('proposed', 'ready', 'approved')

-- waiting_review(batch_id) -> one row
-- Whether a review has not been checked yet: it is against the answers.
SELECT EXISTS (SELECT FROM score_review WHERE batch_id = $1 AND state = 'filed')

-- begin(batch_id, archive_digest, closed_ms, kind) -> none
-- From now on it goes: the database holds what the archive holds, and nobody works with it any more.
INSERT INTO erasing (batch_id, archive_digest, closed_ms, kind) VALUES ($1, $2, $3, $4)
ON CONFLICT (batch_id) DO UPDATE SET archive_digest = excluded.archive_digest, kind = excluded.kind, rows = '{}'

-- mark_answers_erased(batch_id, erased_ms) -> none
-- The answers are gone, and nothing is under way.
UPDATE erasing SET kind = NULL, rows = '{}', answers_erased_ms = $2 WHERE batch_id = $1

-- keep_record(batch_id, purged_ms, record) -> none
-- That it was purged, and what went.
INSERT INTO purge (batch_id, purged_ms, record) VALUES ($1, $2, $3)
