-- sittings(batch_id) -> one row per sitting
-- In the order in which every table of sittings is written; those of undone armings too, of which photos and events are kept.
SELECT sitting_id FROM (
    SELECT sitting_id FROM sitting WHERE batch_id = $1
    UNION ALL
    SELECT sitting_id FROM withdrawn_sitting WHERE batch_id = $1
) AS every ORDER BY sitting_id COLLATE "C"

-- find_batch(batch_id) -> at most one row
-- Whether it is there and over.
SELECT batch.*, (
    SELECT max(extra_time_s) FROM sitting WHERE sitting.batch_id = batch.batch_id
) AS extra_time_s_max
FROM batch WHERE batch_id = $1

-- find_erasing(batch_id) -> at most one row
-- Whether something of it is being erased, or its answers were, and which archive has that.
SELECT kind, archive_digest FROM erasing WHERE batch_id = $1

-- count_unfinished(batch_id) -> one row
-- Sittings nobody has closed yet, without a result, or whose newest result waits for an assessor.
SELECT count(*) FILTER (WHERE sitting.state NOT IN ('submitted', 'collected', 'absent', 'void')) AS not_closed,
    count(*) FILTER (WHERE newest.state IS NULL) AS not_graded,
    count(*) FILTER (WHERE newest.state = 'pending_assessor') AS pending
FROM sitting
LEFT JOIN LATERAL (
    SELECT result.state FROM result WHERE result.sitting_id = sitting.sitting_id ORDER BY revision DESC LIMIT 1
) AS newest ON true
WHERE sitting.batch_id = $1

-- keep_digest(batch_id, digest, bytes, key_id, made_ms) -> none
-- What was archived, so that purging can tell whether it still is all there is; the same content again is the same archive.
INSERT INTO archive (batch_id, digest, bytes, key_id, made_ms) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (batch_id, digest) DO UPDATE SET bytes = excluded.bytes, key_id = excluded.key_id, made_ms = excluded.made_ms

-- batch(batch_id) -> one row
-- The batch with its rules, its times and the people of its acts.
SELECT * FROM batch WHERE batch_id = $1

-- paper(batch_id) -> one row per paper
-- What is known of its question set beside the seal; its text is in the sealed paper.
SELECT paper_id, digest, items, points, encode(sha256(item_index), 'hex') AS item_index, answer_key_digest,
    answer_key_recipient, pushed_ms
FROM paper
WHERE paper_id IN (SELECT unnest(array_append(papers, paper_id)) FROM batch WHERE batch_id = $1)
ORDER BY paper_id COLLATE "C"

-- blobs_of_paper(batch_id) -> any number of rows
-- Their item indexes as bytes.
SELECT item_index AS blob FROM paper
WHERE paper_id IN (SELECT unnest(array_append(papers, paper_id)) FROM batch WHERE batch_id = $1)
ORDER BY paper_id COLLATE "C"

-- package(batch_id) -> at most one row
-- Who sealed the paper, where it was sealed away from the engine.
SELECT paper_id, batch_id, sealed_digest, encode(sha256(sealed), 'hex') AS sealed, key_check, signed_by
FROM package WHERE batch_id = $1 ORDER BY paper_id COLLATE "C"

-- blobs_of_package(batch_id) -> any number of rows
-- Sealed papers as they came.
SELECT sealed AS blob FROM package WHERE batch_id = $1 ORDER BY paper_id COLLATE "C"

-- seal(batch_id) -> one row per form
-- Sealed papers, their wrapped keys, and which answer key was in force.
SELECT batch_id, form, sealed_digest, encode(sha256(sealed), 'hex') AS sealed,
    encode(sha256(paper_key_wrapped), 'hex') AS paper_key_wrapped, paper_digest,
    encode(sha256(item_index), 'hex') AS item_index, answer_key_digest, answer_key_recipient
FROM seal WHERE batch_id = $1 ORDER BY form

-- blobs_of_seal(batch_id) -> any number of rows
-- The same as bytes.
SELECT unnest(ARRAY[sealed, paper_key_wrapped, item_index]) AS blob
FROM seal WHERE batch_id = $1 ORDER BY form

-- answer_key(batch_id) -> any number of rows
-- The envelopes of the answer keys that its seals name; only the grader's private key opens one.
SELECT paper_digest, recipient, encode(sha256(envelope), 'hex') AS envelope
FROM answer_key
WHERE (paper_digest, recipient) IN (SELECT paper_digest, answer_key_recipient FROM seal WHERE batch_id = $1)
ORDER BY paper_digest COLLATE "C", recipient COLLATE "C"

-- blobs_of_answer_key(batch_id) -> any number of rows
-- The same as bytes.
SELECT envelope AS blob
FROM answer_key
WHERE (paper_digest, recipient) IN (SELECT paper_digest, answer_key_recipient FROM seal WHERE batch_id = $1)
ORDER BY paper_digest COLLATE "C", recipient COLLATE "C"

-- batch_event(batch_id) -> any number of rows
-- What was done to the batch.
SELECT * FROM batch_event WHERE batch_id = $1 ORDER BY number

-- disarming(batch_id) -> any number of rows
-- Armings that were undone.
SELECT * FROM disarming WHERE batch_id = $1 ORDER BY disarmed_ms

-- regrade(batch_id) -> any number of rows
-- Regrades, applied or not: why, by whom, and what they would have done.
SELECT regrade_id, number, batch_id, state, reason, proposed_by, proposed_ms, key_id, changes, tried_ms, summary, fault,
    decided_by, decided_ms, applied_ms
FROM regrade WHERE batch_id = $1 ORDER BY number

-- regrade_change(batch_id) -> any number of rows
-- To what they change the answers, sealed to the grader.
SELECT regrade_change.regrade_id, recipient, encode(sha256(envelope), 'hex') AS envelope
FROM regrade_change JOIN regrade USING (regrade_id) WHERE batch_id = $1 ORDER BY number

-- blobs_of_regrade_change(batch_id) -> any number of rows
-- The same as bytes.
SELECT envelope AS blob FROM regrade_change JOIN regrade USING (regrade_id) WHERE batch_id = $1 ORDER BY number

-- regrade_key(batch_id) -> any number of rows
-- Answer keys that applied regrades have put in force; the one with the highest number of a form holds.
SELECT regrade_id, number, batch_id, form, paper_digest, answer_key_digest, recipient,
    encode(sha256(envelope), 'hex') AS envelope
FROM regrade_key WHERE batch_id = $1 ORDER BY number, form

-- blobs_of_regrade_key(batch_id) -> any number of rows
-- The same as bytes.
SELECT envelope AS blob FROM regrade_key WHERE batch_id = $1 ORDER BY number, form

-- item_statistics(batch_id) -> any number of rows
-- What each item did to its candidates, as it was counted.
SELECT * FROM item_statistics WHERE batch_id = $1 ORDER BY number

-- flag_explanation(batch_id) -> any number of rows
-- What was said of the anomalies in them before the release.
SELECT * FROM flag_explanation WHERE batch_id = $1 ORDER BY number

-- room_event(batch_id) -> any number of rows
-- What happened in its rooms.
SELECT * FROM room_event WHERE batch_id = $1 ORDER BY number

-- device_check(batch_id) -> any number of rows
-- The machines, where it was a device check.
SELECT * FROM device_check WHERE batch_id = $1 ORDER BY site COLLATE "C", room COLLATE "C", seat COLLATE "C"

-- sitting(sitting_ids) -> one row each
-- The roster, and what became of each.
SELECT * FROM sitting WHERE sitting_id = ANY ($1::text[]) ORDER BY sitting_id COLLATE "C"

-- withdrawn_sitting(sitting_ids) -> any number of rows
-- Sittings of undone armings: of them there are events and photos, nothing else.
SELECT * FROM withdrawn_sitting WHERE sitting_id = ANY ($1::text[]) ORDER BY sitting_id COLLATE "C"

-- response(sitting_ids) -> any number of rows
-- The newest response per item; `value` is the text that the receipt's digest covers.
SELECT * FROM response WHERE sitting_id = ANY ($1::text[]) ORDER BY sitting_id COLLATE "C", item COLLATE "C"

-- response_history(sitting_ids) -> any number of rows
-- Every accepted change.
SELECT * FROM response_history WHERE sitting_id = ANY ($1::text[])
ORDER BY sitting_id COLLATE "C", generation, position, seq, item COLLATE "C"

-- sitting_event(sitting_ids) -> any number of rows
-- Logins, steps, hand-ins, collections.
SELECT * FROM sitting_event WHERE sitting_id = ANY ($1::text[])
ORDER BY sitting_id COLLATE "C", generation, position, at_ms, kind COLLATE "C", epoch

-- photo(sitting_ids) -> any number of rows
-- Pictures of candidates.
SELECT sitting_id, number, batch_id, digest, encode(sha256(jpeg), 'hex') AS jpeg, taken_ms
FROM photo WHERE sitting_id = ANY ($1::text[]) ORDER BY sitting_id COLLATE "C", number

-- blobs_of_photo(sitting_ids) -> any number of rows
-- The same as bytes.
SELECT jpeg AS blob FROM photo WHERE sitting_id = ANY ($1::text[]) ORDER BY sitting_id COLLATE "C", number

-- photo_act(sitting_ids) -> any number of rows
-- What proctors said of them.
SELECT * FROM photo_act WHERE sitting_id = ANY ($1::text[]) ORDER BY sitting_id COLLATE "C", act_number

-- assessment_task(sitting_ids) -> any number of rows
-- What assessors were asked for.
SELECT * FROM assessment_task WHERE sitting_id = ANY ($1::text[]) ORDER BY sitting_id COLLATE "C", item COLLATE "C"

-- assessment_mark(sitting_ids) -> any number of rows
-- Every mark they gave, with the sitting it is of; an assessor's newest holds.
SELECT assessment_task.sitting_id, assessment_mark.*
FROM assessment_mark JOIN assessment_task USING (task_id)
WHERE assessment_task.sitting_id = ANY ($1::text[])
ORDER BY assessment_task.sitting_id COLLATE "C", assessment_mark.number

-- regrade_sitting(sitting_ids) -> any number of rows
-- What dry runs of regrades found.
SELECT * FROM regrade_sitting WHERE sitting_id = ANY ($1::text[])
ORDER BY sitting_id COLLATE "C", regrade_id COLLATE "C"

-- result(sitting_ids) -> any number of rows
-- All revisions; `document` is the signed JSON byte for byte, `marks` what each item earned.
SELECT * FROM result WHERE sitting_id = ANY ($1::text[]) ORDER BY sitting_id COLLATE "C", revision

-- score_review(sitting_ids) -> any number of rows
-- Reviews that candidates asked for, what was found, and the answers.
SELECT * FROM score_review WHERE sitting_id = ANY ($1::text[]) ORDER BY sitting_id COLLATE "C", revision, number

-- receipt(sitting_ids) -> one row per sitting that was handed in or collected
-- What its receipt says, but for key and signature: a candidate's own can be laid beside it.
SELECT sitting.sitting_id, sitting.batch_id, sitting.state, sitting.closed_ms AS submitted_ms,
    count(response.item) FILTER (WHERE response.value <> 'null') AS answered, (
        SELECT count(*) FROM seal, jsonb_object_keys(convert_from(seal.item_index, 'UTF8')::jsonb)
        WHERE seal.batch_id = sitting.batch_id AND seal.form = sitting.form
    ) AS items,
    encode(sha256(convert_to('[' || coalesce(string_agg(
        format('["%s",%s,%s]', response.item, response.seq, response.value), ',' ORDER BY response.item COLLATE "C"
    ) FILTER (WHERE response.item IS NOT NULL), '') || ']', 'UTF8')), 'hex') AS digest
FROM sitting LEFT JOIN response USING (sitting_id)
WHERE sitting.sitting_id = ANY ($1::text[]) AND sitting.state IN ('submitted', 'collected')
GROUP BY sitting.sitting_id
ORDER BY sitting.sitting_id COLLATE "C"
