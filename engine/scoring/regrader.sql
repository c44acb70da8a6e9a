-- take_regrade() -> at most one row
-- The regrade that waits longest for its dry run or for being applied, held by this grader; others pass over it.
SELECT regrade.regrade_id, regrade.number, regrade.batch_id, regrade.state, regrade.decided_by, regrade_change.envelope,
    batch.rules
FROM regrade JOIN regrade_change USING (regrade_id) JOIN batch USING (batch_id)
WHERE regrade.state IN ('proposed', 'approved')
ORDER BY regrade.number
LIMIT 1
FOR NO KEY UPDATE OF regrade SKIP LOCKED

-- keys_in_force(batch_id) -> one row per form
-- The answer key by which results are made now: the newest regrade's, else the one pinned at arming.
SELECT seal.form, seal.paper_digest, coalesce(regraded.answer_key_digest, seal.answer_key_digest) AS answer_key_digest,
    coalesce(regraded.envelope, answer_key.envelope) AS envelope
FROM seal
JOIN answer_key ON answer_key.paper_digest = seal.paper_digest AND answer_key.recipient = seal.answer_key_recipient
LEFT JOIN LATERAL (
    SELECT answer_key_digest, envelope FROM regrade_key
    WHERE regrade_key.batch_id = seal.batch_id AND regrade_key.form = seal.form
    ORDER BY number DESC LIMIT 1
) AS regraded ON true
WHERE seal.batch_id = $1
ORDER BY seal.form

-- page_of_results(batch_id, after, forms, rows_max) -> up to rows_max rows
-- The newest result of each sitting of these forms, in the order of sittings.
SELECT sitting.sitting_id, sitting.form, newest.revision, newest.state, newest.document, newest.marks
FROM sitting
JOIN LATERAL (
    SELECT revision, state, document, marks FROM result
    WHERE result.sitting_id = sitting.sitting_id ORDER BY revision DESC LIMIT 1
) AS newest ON true
WHERE sitting.batch_id = $1 AND sitting.sitting_id > $2 AND sitting.form = ANY ($3::smallint[])
ORDER BY sitting.sitting_id
LIMIT $4

-- lock_sittings(batch_id) -> none
-- Nobody else makes a revision of these until the regrade is applied.
SELECT 1 FROM sitting WHERE batch_id = $1 ORDER BY sitting_id FOR NO KEY UPDATE

-- renew_tasks(task_ids, missing) -> none
-- How many assessors each task still needs under the new key.
UPDATE assessment_task SET missing = new.missing
FROM unnest($1::text[], $2::smallint[]) AS new (task_id, missing)
WHERE assessment_task.task_id = new.task_id AND assessment_task.missing <> new.missing

-- forget_sittings(regrade_id) -> none
-- What an earlier dry run of it found.
DELETE FROM regrade_sitting WHERE regrade_id = $1

-- insert_sittings(regrade_id, sitting_ids, old_revisions, old_scores, new_scores, old_passed, new_passed, directions, pass_changes) -> none
-- What this dry run finds.
INSERT INTO regrade_sitting
    (regrade_id, sitting_id, old_revision, old_score, new_score, old_passed, new_passed, direction, pass_change)
SELECT $1, * FROM unnest($2::text[], $3::integer[], $4::numeric[], $5::numeric[], $6::boolean[], $7::boolean[],
    $8::text[], $9::text[])

-- keep_summary(regrade_id, summary, tried_ms) -> none
-- The dry run is there to be looked at.
UPDATE regrade SET state = 'ready', summary = $2::jsonb, tried_ms = $3 WHERE regrade_id = $1

-- fail(regrade_id, fault, tried_ms) -> none
-- It cannot be tried, and why; approvals of what cannot be done are nobody's any more.
UPDATE regrade SET state = 'failed', fault = $2, tried_ms = $3, decided_by = '{}', decided_ms = NULL WHERE regrade_id = $1

-- try_again(regrade_id, fault) -> none
-- Results changed: the dry run is made anew, and has to be approved anew.
UPDATE regrade SET state = 'proposed', fault = $2, decided_by = '{}', decided_ms = NULL WHERE regrade_id = $1

-- sittings_of(regrade_id) -> any number of rows
-- What the dry run found, for applying exactly that.
SELECT sitting_id, old_revision, old_score, new_score, old_passed, new_passed, direction, pass_change
FROM regrade_sitting WHERE regrade_id = $1

-- insert_key(regrade_id, number, batch_id, form, paper_digest, answer_key_digest, recipient, envelope) -> none
-- From now on this answer key makes the results of the batch's form.
INSERT INTO regrade_key (regrade_id, number, batch_id, form, paper_digest, answer_key_digest, recipient, envelope)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- lock_release(batch_id) -> one row
-- Whether results are public; nobody may release the batch until the new revisions are committed.
SELECT coalesce(rules ->> 'release', 'graded') = 'graded' OR released_ms IS NOT NULL
FROM batch WHERE batch_id = $1 FOR KEY SHARE

-- insert_revisions(batch_id, graded_ms, publications, sitting_ids, revisions, states, documents, marks) -> none
-- New revisions beside the old ones; a second one of the same number would break the primary key.
INSERT INTO result (batch_id, graded_ms, publication, sitting_id, revision, state, document, marks)
SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::integer[], $6::text[], $7::text[], $8::text[])

-- settle(regrade_id, applied_ms) -> none
-- It is applied, and never again.
UPDATE regrade SET state = 'applied', applied_ms = $2, fault = NULL WHERE regrade_id = $1
