-- erase_score_review(sitting_ids) -> none
-- Score reviews.
DELETE FROM score_review WHERE sitting_id = ANY ($1::text[])

-- erase_regrade_sitting(sitting_ids) -> none
-- What dry runs found.
DELETE FROM regrade_sitting WHERE sitting_id = ANY ($1::text[])

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

-- erase_assessment_task(sitting_ids) -> none
-- What assessors were asked for.
DELETE FROM assessment_task WHERE sitting_id = ANY ($1::text[])

-- erase_withdrawn_sitting(sitting_ids) -> none
-- Sittings of undone armings.
DELETE FROM withdrawn_sitting WHERE sitting_id = ANY ($1::text[])

-- erase_sitting(sitting_ids) -> none
-- Who sat where.
DELETE FROM sitting WHERE sitting_id = ANY ($1::text[])

-- erase_assessment_mark(sitting_ids) -> none
-- Every mark that assessors gave them.
DELETE FROM assessment_mark USING assessment_task
WHERE assessment_mark.task_id = assessment_task.task_id AND assessment_task.sitting_id = ANY ($1::text[])

-- erase_webhook_delivery(batch_id) -> none
-- How its results were sent.
DELETE FROM webhook_delivery WHERE batch_id = $1

-- erase_webhook_queue(batch_id) -> none
-- Which webhooks had results of it to wait for.
DELETE FROM webhook_queue WHERE batch_id = $1

-- erase_statistics_request(batch_id) -> none
-- Notes from worker to grader.
DELETE FROM statistics_request WHERE batch_id = $1

-- erase_regrade_key(batch_id) -> none
-- Answer keys of its regrades.
DELETE FROM regrade_key WHERE batch_id = $1

-- erase_regrade(batch_id) -> none
-- Its regrades.
DELETE FROM regrade WHERE batch_id = $1

-- erase_flag_explanation(batch_id) -> none
-- Why flags stood.
DELETE FROM flag_explanation WHERE batch_id = $1

-- erase_item_statistics(batch_id) -> none
-- What was counted of its items.
DELETE FROM item_statistics WHERE batch_id = $1

-- erase_device_check(batch_id) -> none
-- Its machines, where it was a device check.
DELETE FROM device_check WHERE batch_id = $1

-- erase_room_event(batch_id) -> none
-- What happened in its rooms.
DELETE FROM room_event WHERE batch_id = $1

-- erase_disarming(batch_id) -> none
-- Armings that were undone.
DELETE FROM disarming WHERE batch_id = $1

-- erase_batch_event(batch_id) -> none
-- What was done to it.
DELETE FROM batch_event WHERE batch_id = $1

-- erase_archive(batch_id) -> none
-- That it was archived; the record of purging names the content.
DELETE FROM archive WHERE batch_id = $1

-- erase_seal(batch_id) -> none
-- Sealed papers and their wrapped keys.
DELETE FROM seal WHERE batch_id = $1

-- erase_package(batch_id) -> none
-- Papers that came sealed for it.
DELETE FROM package WHERE batch_id = $1

-- erase_batch(batch_id) -> none
-- The batch itself.
DELETE FROM batch WHERE batch_id = $1

-- erase_regrade_change(batch_id) -> none
-- To what its regrades changed the answers.
DELETE FROM regrade_change USING regrade WHERE regrade_change.regrade_id = regrade.regrade_id AND regrade.batch_id = $1

-- erase_assessment_due(batch_id) -> none
-- Notes from worker to grader.
DELETE FROM assessment_due WHERE batch_id = $1

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

-- keep_record(batch_id, purged_ms, record) -> none
-- That it was purged, and what went.
INSERT INTO purge (batch_id, purged_ms, record) VALUES ($1, $2, $3)
