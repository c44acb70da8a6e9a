-- regrades_of(batch_id, rows_max) -> up to rows_max rows
-- The newest first.
SELECT * FROM regrade WHERE batch_id = $1 ORDER BY number DESC LIMIT $2

-- find_regrade(batch_id, regrade_id) -> at most one row
-- A regrade as it stands.
SELECT * FROM regrade WHERE batch_id = $1 AND regrade_id = $2

-- lock_regrade(batch_id, regrade_id) -> at most one row
-- The same, held until it is decided; while the grader tries or applies it, this waits.
SELECT * FROM regrade WHERE batch_id = $1 AND regrade_id = $2 FOR NO KEY UPDATE

-- page_of_differences(regrade_id, after, only, rows_max) -> up to rows_max rows
-- What the dry run found, by sitting: whose score or pass changes, or of one kind, or all.
SELECT found.*, sitting.candidate_id, sitting.admission_ticket
FROM regrade_sitting AS found JOIN sitting USING (sitting_id)
WHERE found.regrade_id = $1 AND found.sitting_id > $2
    AND CASE $3::text
        WHEN 'all' THEN true
        WHEN 'changed' THEN found.direction IN ('up', 'down') OR found.pass_change <> ''
        ELSE $3 IN (found.direction, found.pass_change)
    END
ORDER BY found.sitting_id
LIMIT $4

-- changed_since(regrade_id, rows_max) -> up to rows_max rows
-- Sittings whose newest result is not the one that the dry run began at.
SELECT found.sitting_id
FROM regrade_sitting AS found
WHERE found.regrade_id = $1 AND EXISTS (
    SELECT 1 FROM result WHERE result.sitting_id = found.sitting_id AND result.revision > found.old_revision)
ORDER BY found.sitting_id
LIMIT $2

-- try_again(regrade_id, fault) -> none
-- The dry run is made anew.
UPDATE regrade SET state = 'proposed', fault = $2, decided_by = '{}', decided_ms = NULL WHERE regrade_id = $1

-- decide(regrade_id, state, decided_by, decided_ms) -> none
-- The act of two people.
UPDATE regrade SET state = $2, decided_by = $3::text[], decided_ms = $4 WHERE regrade_id = $1
