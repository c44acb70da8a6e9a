-- take_review() -> at most one row
-- The review that waits longest for its recheck, held by this grader, with the result and the sitting it is about.
SELECT score_review.sitting_id, score_review.revision, score_review.batch_id, score_review.receipt, result.document,
    result.marks, sitting.form, sitting.candidate_id, sitting.admission_ticket, sitting.state AS sitting_state,
    sitting.closed_ms, sitting.extra_time_s, batch.rules,
    EXISTS (SELECT FROM erasing WHERE erasing.batch_id = score_review.batch_id) AS is_erased
FROM score_review
JOIN result USING (sitting_id, revision)
JOIN sitting USING (sitting_id)
JOIN batch ON batch.batch_id = score_review.batch_id
WHERE score_review.state = 'filed'
ORDER BY score_review.number
LIMIT 1
FOR NO KEY UPDATE OF score_review SKIP LOCKED

-- keys_of(batch_id, form) -> one row per answer key
-- Every answer key that has ever made results of this form: the one pinned at arming, then those of regrades.
SELECT 0 AS number, NULL AS regrade_id, seal.paper_digest, seal.answer_key_digest, answer_key.envelope
FROM seal
JOIN answer_key ON answer_key.paper_digest = seal.paper_digest AND answer_key.recipient = seal.answer_key_recipient
WHERE seal.batch_id = $1 AND seal.form = $2
UNION ALL
SELECT number, regrade_id, paper_digest, answer_key_digest, envelope FROM regrade_key WHERE batch_id = $1 AND form = $2
ORDER BY number

-- responses_of(sitting_id) -> any number of rows
-- The newest recorded value per item.
SELECT item, seq, value FROM response WHERE sitting_id = $1 ORDER BY item

-- history_of(sitting_id) -> any number of rows
-- Every accepted change in the order it was accepted.
SELECT item, seq, value, saved_ms FROM response_history WHERE sitting_id = $1 ORDER BY generation, position, seq

-- events_of(sitting_id) -> any number of rows
-- Logins, confirmations, the hand-in or the end, photos, a restoring.
SELECT kind, at_ms FROM sitting_event WHERE sitting_id = $1 ORDER BY at_ms

-- room_events_of(sitting_id) -> any number of rows
-- What happened beside the answers: windows left, acts of proctors.
SELECT kind, away_ms FROM room_event WHERE sitting_id = $1

-- keep_findings(sitting_id, revision, findings, checked_ms) -> none
-- What the recheck found is there to be read and answered.
UPDATE score_review SET state = 'checked', findings = $3::jsonb, checked_ms = $4 WHERE sitting_id = $1 AND revision = $2
