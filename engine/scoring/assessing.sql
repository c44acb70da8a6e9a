-- take_due(notes_max, parked) -> up to notes_max rows
-- Notes of sittings whose marks may be complete, oldest first, taken away; two graders share the work.
DELETE FROM assessment_due WHERE number IN (
    SELECT number FROM assessment_due WHERE batch_id <> ALL ($2::text[]) ORDER BY number LIMIT $1 FOR UPDATE SKIP LOCKED
) RETURNING sitting_id

-- lock_pending(sitting_ids) -> one row per sitting that waits
-- Those whose newest result still waits for assessors, held so that nobody else makes the next revision.
SELECT sitting.sitting_id, sitting.batch_id, sitting.form, sitting.candidate_id, sitting.admission_ticket, newest.revision
FROM sitting JOIN LATERAL (
    SELECT revision, state FROM result WHERE result.sitting_id = sitting.sitting_id ORDER BY revision DESC LIMIT 1
) AS newest ON newest.state = 'pending_assessor'
WHERE sitting.sitting_id = ANY ($1::text[])
ORDER BY sitting.sitting_id
FOR NO KEY UPDATE OF sitting

-- insert_revisions(sitting_ids, batch_ids, revisions, documents, marks, publications, graded_ms) -> none
-- The revision after the pending one; the primary key refuses a second.
INSERT INTO result (sitting_id, revision, batch_id, state, document, marks, publication, graded_ms)
SELECT sitting_id, revision, batch_id, 'graded', document, marks, publication, graded_ms
FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
    AS assessed (sitting_id, batch_id, revision, document, marks, publication, graded_ms)
