-- erased_so_far(batch_id, tables, counts) -> none
-- Add to the figures of what went, in the transaction in which it goes.
UPDATE erasing SET rows = rows || (
    SELECT jsonb_object_agg(name, coalesce((rows ->> name)::bigint, 0) + count)
    FROM unnest($2::text[], $3::bigint[]) AS went (name, count))
WHERE batch_id = $1

-- erase_score_review(sitting_ids) -> none
-- Score reviews.
DELETE FROM score_review WHERE sitting_id = ANY ($1::text[])

-- erase_regrade_sitting(sitting_ids) -> none
-- What dry runs found.
DELETE FROM regrade_sitting WHERE sitting_id = ANY ($1::text[])

-- erase_assessment_mark(sitting_ids) -> none
-- Every mark that assessors gave them.
DELETE FROM assessment_mark USING assessment_task
WHERE assessment_mark.task_id = assessment_task.task_id AND assessment_task.sitting_id = ANY ($1::text[])

-- erase_assessment_task(sitting_ids) -> none
-- What assessors were asked for.
DELETE FROM assessment_task WHERE sitting_id = ANY ($1::text[])

-- erase_result(sitting_ids) -> none
-- Every revision of their results.
DELETE FROM result WHERE sitting_id = ANY ($1::text[])

-- erase_photo_act(sitting_ids) -> none
-- What proctors said of pictures.
DELETE FROM photo_act WHERE sitting_id = ANY ($1::text[])

-- erase_photo(sitting_ids) -> none
-- Pictures of candidates.
DELETE FROM photo WHERE sitting_id = ANY ($1::text[])

-- erase_sitting_event(sitting_ids) -> none
-- Logins, steps, hand-ins, collections.
DELETE FROM sitting_event WHERE sitting_id = ANY ($1::text[])

-- erase_response_history(sitting_ids) -> none
-- Every accepted change.
DELETE FROM response_history WHERE sitting_id = ANY ($1::text[])

-- erase_response(sitting_ids) -> none
-- The newest responses.
DELETE FROM response WHERE sitting_id = ANY ($1::text[])

-- erase_withdrawn_sitting(sitting_ids) -> none
-- Sittings of undone armings.
DELETE FROM withdrawn_sitting WHERE sitting_id = ANY ($1::text[])

-- erase_sitting(sitting_ids) -> none
-- Who sat where.
DELETE FROM sitting WHERE sitting_id = ANY ($1::text[])

-- erase_webhook_delivery(batch_id, rows_max) -> none
-- How its results were sent.
DELETE FROM webhook_delivery WHERE ctid = ANY (ARRAY (SELECT ctid FROM webhook_delivery WHERE batch_id = $1 LIMIT $2))

-- erase_webhook_queue(batch_id, rows_max) -> none
-- Which webhooks had results of it to wait for.
DELETE FROM webhook_queue WHERE ctid = ANY (ARRAY (SELECT ctid FROM webhook_queue WHERE batch_id = $1 LIMIT $2))

-- erase_assessment_due(batch_id, rows_max) -> none
-- Notes from worker to grader.
DELETE FROM assessment_due WHERE ctid = ANY (ARRAY (SELECT ctid FROM assessment_due WHERE batch_id = $1 LIMIT $2))

-- erase_statistics_request(batch_id, rows_max) -> none
-- Notes from worker to grader.
DELETE FROM statistics_request WHERE ctid = ANY (ARRAY (SELECT ctid FROM statistics_request WHERE batch_id = $1 LIMIT $2))

-- erase_regrade_key(batch_id, rows_max) -> none
-- Answer keys of its regrades.
DELETE FROM regrade_key WHERE ctid = ANY (ARRAY (SELECT ctid FROM regrade_key WHERE batch_id = $1 LIMIT $2))

-- erase_regrade_change(batch_id, rows_max) -> none
-- To what its regrades changed the answers.
DELETE FROM regrade_change WHERE regrade_id IN (
    SELECT regrade_id FROM regrade_change JOIN regrade USING (regrade_id) WHERE batch_id = $1 LIMIT $2)

-- erase_regrade(batch_id, rows_max) -> none
-- Its regrades.
DELETE FROM regrade WHERE ctid = ANY (ARRAY (SELECT ctid FROM regrade WHERE batch_id = $1 LIMIT $2))

-- erase_flag_explanation(batch_id, rows_max) -> none
-- Why flags stood.
DELETE FROM flag_explanation WHERE ctid = ANY (ARRAY (SELECT ctid FROM flag_explanation WHERE batch_id = $1 LIMIT $2))

-- erase_item_statistics(batch_id, rows_max) -> none
-- What was counted of its items.
DELETE FROM item_statistics WHERE ctid = ANY (ARRAY (SELECT ctid FROM item_statistics WHERE batch_id = $1 LIMIT $2))

-- erase_device_check(batch_id, rows_max) -> none
-- Its machines, where it was a device check.
DELETE FROM device_check WHERE ctid = ANY (ARRAY (SELECT ctid FROM device_check WHERE batch_id = $1 LIMIT $2))

-- erase_room_event(batch_id, rows_max) -> none
-- What happened in its rooms.
DELETE FROM room_event WHERE ctid = ANY (ARRAY (SELECT ctid FROM room_event WHERE batch_id = $1 LIMIT $2))

-- erase_disarming(batch_id, rows_max) -> none
-- Armings that were undone.
DELETE FROM disarming WHERE ctid = ANY (ARRAY (SELECT ctid FROM disarming WHERE batch_id = $1 LIMIT $2))

-- erase_batch_event(batch_id, rows_max) -> none
-- What was done to it.
DELETE FROM batch_event WHERE ctid = ANY (ARRAY (SELECT ctid FROM batch_event WHERE batch_id = $1 LIMIT $2))

-- erase_archive(batch_id, rows_max) -> none
-- That it was archived; the record of purging names the content.
DELETE FROM archive WHERE ctid = ANY (ARRAY (SELECT ctid FROM archive WHERE batch_id = $1 LIMIT $2))

-- erase_seal(batch_id) -> none
-- Sealed papers and their wrapped keys.
DELETE FROM seal WHERE batch_id = $1

-- erase_package(batch_id) -> none
-- Papers that came sealed for it.
DELETE FROM package WHERE batch_id = $1

-- forget_erasing(batch_id) -> none
-- That it was on its way out: its record says that it is gone.
DELETE FROM erasing WHERE batch_id = $1

-- erase_batch(batch_id) -> none
-- The batch itself.
DELETE FROM batch WHERE batch_id = $1

-- papers_of(batch_id) -> one row
-- The papers that it names and the question sets that it sealed.
SELECT (SELECT array_append(papers, paper_id) FROM batch WHERE batch_id = $1) AS paper_ids,
    (SELECT coalesce(array_agg(paper_digest), '{}') FROM seal WHERE batch_id = $1) AS paper_digests

-- erase_paper(paper_ids) -> none
-- Those that no other batch names.
DELETE FROM paper
WHERE paper_id = ANY ($1::text[])
    AND NOT EXISTS (SELECT FROM batch WHERE paper.paper_id = batch.paper_id OR paper.paper_id = ANY (batch.papers))
    AND NOT EXISTS (SELECT FROM package WHERE package.paper_id = paper.paper_id)

-- erase_answer_key(paper_digests) -> none
-- Those of question sets that neither a paper nor another batch's seal has.
DELETE FROM answer_key
WHERE paper_digest = ANY ($1::text[])
    AND NOT EXISTS (SELECT FROM seal WHERE seal.paper_digest = answer_key.paper_digest)
    AND NOT EXISTS (SELECT FROM paper WHERE paper.digest = answer_key.paper_digest)

-- count_beside(batch_id) -> one row
-- What goes with the records and lies in no archive, or does not go because another batch uses it.
SELECT (SELECT count(*) FROM webhook_delivery WHERE batch_id = $1) AS webhook_delivery,
    (SELECT count(*) FROM webhook_queue WHERE batch_id = $1) AS webhook_queue,
    (SELECT count(*) FROM assessment_due WHERE batch_id = $1) AS assessment_due,
    (SELECT count(*) FROM statistics_request WHERE batch_id = $1) AS statistics_request,
    (SELECT count(*) FROM archive WHERE batch_id = $1) AS archive,
    (SELECT count(*) FROM paper
     WHERE paper_id IN (SELECT unnest(array_append(papers, paper_id)) FROM batch WHERE batch_id = $1)
         AND NOT EXISTS (SELECT FROM batch WHERE batch_id <> $1
                         AND (paper.paper_id = batch.paper_id OR paper.paper_id = ANY (batch.papers)))
         AND NOT EXISTS (SELECT FROM package WHERE package.paper_id = paper.paper_id AND package.batch_id <> $1)
    ) AS paper,
    (SELECT count(*) FROM answer_key
     WHERE paper_digest IN (SELECT paper_digest FROM seal WHERE batch_id = $1)
         AND NOT EXISTS (SELECT FROM seal WHERE seal.paper_digest = answer_key.paper_digest AND batch_id <> $1)
         AND NOT EXISTS (SELECT FROM paper WHERE paper.digest = answer_key.paper_digest
                         AND EXISTS (SELECT FROM batch WHERE batch_id <> $1
                                     AND (paper.paper_id = batch.paper_id OR paper.paper_id = ANY (batch.papers))))
    ) AS answer_key
