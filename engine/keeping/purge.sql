-- take_turn(batch_id) -> one row
-- Whether nobody else purges this batch now; held until the connection ends, however it ends.
SELECT pg_try_advisory_lock(hashtextextended('purge ' || $1::text, 0))

-- lock_batch(batch_id) -> none
-- Whoever proposes a regrade waits, and then sees that it is being erased.
SELECT 1 FROM batch WHERE batch_id = $1 FOR NO KEY UPDATE

-- find_erasing(batch_id) -> at most one row
-- How far an erasing of it is; none when nothing was erased yet.
SELECT archive_digest, closed_ms, kind, is_checked, rows, answers_erased_ms FROM erasing WHERE batch_id = $1

-- open_regrade(batch_id) -> at most one row
-- A regrade that is still to be tried or decided upon.
SELECT regrade_id FROM regrade WHERE batch_id = $1 AND state IN ('proposed', 'ready', 'approved')

-- begin(batch_id, archive_digest, closed_ms, kind) -> none
-- From now on nobody works with what is about to go; nothing goes before it was compared with the archive.
INSERT INTO erasing (batch_id, archive_digest, closed_ms, kind) VALUES ($1, $2, $3, $4)
ON CONFLICT (batch_id) DO UPDATE SET
    archive_digest = excluded.archive_digest, kind = excluded.kind, is_checked = false, rows = '{}'

-- mark_checked(batch_id) -> none
-- The database holds what the archive holds.
UPDATE erasing SET is_checked = true WHERE batch_id = $1

-- forget_beginning(batch_id) -> none
-- It does not, and nothing went ever.
DELETE FROM erasing WHERE batch_id = $1 AND answers_erased_ms IS NULL

-- stand_back(batch_id) -> none
-- It does not, and only the answers went, some time ago.
UPDATE erasing SET kind = NULL WHERE batch_id = $1

-- mark_answers_erased(batch_id, erased_ms) -> none
-- The answers are gone, and nothing is under way.
UPDATE erasing SET kind = NULL, is_checked = false, rows = '{}', answers_erased_ms = $2 WHERE batch_id = $1

-- keep_record(batch_id, purged_ms, record) -> none
-- That it was purged, and what went.
INSERT INTO purge (batch_id, purged_ms, record) VALUES ($1, $2, $3)
