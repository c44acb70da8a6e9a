-- give_up_when_idle() -> one row
-- A grader whose machine has died holds its sittings and the feed no longer than this.
SELECT set_config('idle_in_transaction_session_timeout', '10s', true)

-- take_closed(sittings_max, parked) -> up to sittings_max rows
-- Closed and recorded sittings without a result, but for parked batches; locked, so that two graders share the work.
SELECT sitting_id, batch_id, form, candidate_id, admission_ticket, state
FROM sitting
WHERE NOT is_graded AND state IN ('submitted', 'collected', 'absent', 'void') AND batch_id <> ALL ($2::text[])
ORDER BY batch_id, sitting_id
LIMIT $1
FOR NO KEY UPDATE SKIP LOCKED

-- batches_with_seals(batch_ids) -> one row per batch and form
-- Rules and the answer keys in force (pinned at arming, or a regrade's); nobody may change or release it until the commit.
SELECT batch.batch_id, batch.rules, batch.released_ms, seal.form, seal.paper_digest,
    coalesce(regraded.answer_key_digest, seal.answer_key_digest) AS answer_key_digest,
    coalesce(regraded.envelope, answer_key.envelope) AS answer_key_envelope
FROM batch JOIN seal USING (batch_id)
    JOIN answer_key ON answer_key.paper_digest = seal.paper_digest AND answer_key.recipient = seal.answer_key_recipient
    LEFT JOIN LATERAL (
        SELECT answer_key_digest, envelope FROM regrade_key
        WHERE regrade_key.batch_id = seal.batch_id AND regrade_key.form = seal.form
        ORDER BY number DESC LIMIT 1
    ) AS regraded ON true
WHERE batch_id = ANY ($1::text[])
ORDER BY batch_id, form
FOR KEY SHARE OF batch

-- responses_of(sitting_ids) -> any number of rows
-- The committed responses, which alone make the score.
SELECT sitting_id, array_agg(item) AS items, array_agg(value) AS texts
FROM response WHERE sitting_id = ANY ($1::text[])
GROUP BY sitting_id

-- insert_results(columns …) -> none
-- A second result for a sitting would break the primary key: it is graded once. And no grader looks at it again.
WITH graded AS (
    INSERT INTO result (sitting_id, revision, batch_id, state, document, marks, publication, graded_ms)
    SELECT sitting_id, 1, batch_id, state, document, marks, publication, $7
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
        AS graded (sitting_id, batch_id, state, document, marks, publication)
)
UPDATE sitting SET is_graded = true WHERE sitting_id = ANY ($1::text[])
