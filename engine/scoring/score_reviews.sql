-- find_sitting(sitting_id) -> at most one row
-- The sitting with its batch's rules.
SELECT sitting.sitting_id, sitting.batch_id, batch.rules FROM sitting JOIN batch USING (batch_id) WHERE sitting_id = $1

-- hold_batch(batch_id) -> none
-- The batch: a purge begins after this transaction, or has begun.
SELECT 1 FROM batch WHERE batch_id = $1 FOR SHARE

-- is_erased(batch_id) -> one row
-- Whether its answers go or are gone; asked after the batch is held, else a purge that was waited for is not seen.
SELECT EXISTS (SELECT FROM erasing WHERE batch_id = $1)

-- lock_reviews(batch_id) -> one row
-- Who files reviews of one batch takes turns until the commit, so that the list's cursor passes over none.
SELECT pg_advisory_xact_lock(hashtextextended('score_review ' || $1::text, 0))

-- published(sitting_id) -> any number of rows
-- What was ever published of a sitting, in the order of revisions.
SELECT revision, publication, document FROM result
WHERE sitting_id = $1 AND publication IS NOT NULL ORDER BY revision

-- find_review(sitting_id, revision) -> at most one row
-- The review of one revision; the newest where none is named.
SELECT score_review.*, sitting.candidate_id, sitting.admission_ticket, result.document
FROM score_review JOIN sitting USING (sitting_id) JOIN result USING (sitting_id, revision)
WHERE sitting_id = $1 AND revision = coalesce($2, revision)
ORDER BY revision DESC LIMIT 1

-- lock_review(sitting_id, revision) -> at most one row
-- The same, held until it is answered.
SELECT * FROM score_review WHERE sitting_id = $1 AND revision = $2 FOR NO KEY UPDATE

-- insert_review(sitting_id, revision, batch_id, requested_by, requested_ms, due_ms, grounds, words, receipt, key_id) -> none
-- A request that waits for its recheck.
INSERT INTO score_review
    (sitting_id, revision, batch_id, requested_by, requested_ms, due_ms, grounds, words, receipt, key_id)
VALUES ($1, $2, $3, $4, $5, $6, $7::text[], $8, $9, $10)

-- answer(sitting_id, revision, answered_by, answer, answered_ms) -> none
-- What a person answers closes the review.
UPDATE score_review SET state = 'answered', answered_by = $3, answer = $4, answered_ms = $5
WHERE sitting_id = $1 AND revision = $2

-- page_of_reviews(batch_id, after, rows_max, state) -> up to rows_max rows
-- A batch's reviews in the order in which they were filed; of one state where it is named.
SELECT score_review.*, sitting.candidate_id, sitting.admission_ticket, result.document
FROM score_review JOIN sitting USING (sitting_id) JOIN result USING (sitting_id, revision)
WHERE score_review.batch_id = $1 AND number > $2 AND score_review.state = coalesce($4, score_review.state)
ORDER BY number
LIMIT $3

-- card_of(sitting_id) -> one row
-- What the printed report says of candidate and exam.
SELECT sitting.name, sitting.site, sitting.room, sitting.seat, batch.title, batch.occupation, batch.level, batch.subject,
    batch.starts_ms
FROM sitting JOIN batch USING (batch_id) WHERE sitting_id = $1
