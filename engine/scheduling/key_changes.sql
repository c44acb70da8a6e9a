-- lock_batch(batch_id) -> at most one row
-- The batch, held against another proposal until the transaction ends; what only refers to it goes on.
SELECT * FROM batch WHERE batch_id = $1 FOR NO KEY UPDATE

-- count_unfinished(batch_id) -> one row
-- Sittings that are open or have no result, and the longest extra time.
SELECT count(*) FILTER (WHERE NOT is_graded OR state NOT IN ('submitted', 'collected', 'absent', 'void')) AS unfinished,
    coalesce(max(extra_time_s), 0) AS extra_time_s
FROM sitting WHERE batch_id = $1

-- forms_of(batch_id) -> one row per form
-- What a change may name: each form's items with their types and options, as arming pinned them.
SELECT form, item_index FROM seal WHERE batch_id = $1 ORDER BY form

-- open_regrade(batch_id) -> at most one row
-- The regrade that has to be decided first.
SELECT regrade_id, state, fingerprint FROM regrade
WHERE batch_id = $1 AND state IN ('proposed', 'ready', 'approved')

-- insert_regrade(regrade_id, batch_id, reason, proposed_by, proposed_ms, key_id, fingerprint, changes) -> none
-- A proposal that waits for its dry run.
INSERT INTO regrade (regrade_id, batch_id, reason, proposed_by, proposed_ms, key_id, fingerprint, changes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)

-- insert_change(regrade_id, recipient, envelope) -> none
-- What it changes to what: put in here, and never looked at.
INSERT INTO regrade_change (regrade_id, recipient, envelope) VALUES ($1, $2, $3)
