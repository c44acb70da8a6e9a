-- lock_batch(batch_id) -> at most one row
-- The batch, held against arming and pushes, but not against grading: what is laid is what stands, not what stood before.
SELECT * FROM batch WHERE batch_id = $1 AND armed_ms IS NOT NULL FOR NO KEY UPDATE

-- find_seal(batch_id, form) -> at most one row
-- A sealed paper and its wrapped key.
SELECT form, sealed_digest, sealed, paper_key_wrapped, item_index FROM seal WHERE batch_id = $1 AND form = $2

-- sittings_in(batch_id, partitions, after, count) -> up to count rows
-- Who is to be laid ready, in the order of candidate ids, after one of them; null for all partitions.
SELECT sitting_id, batch_id, candidate_id, name, admission_ticket, site, room, seat, extra_time_s, id_number, state, epoch,
    entered_ms, closed_ms, form
FROM sitting
WHERE batch_id = $1 AND ($2::smallint[] IS NULL OR partition = ANY ($2::smallint[])) AND candidate_id > $3
ORDER BY candidate_id LIMIT $4

-- responses_of(sitting_ids) -> any number of rows
-- Their newest recorded responses.
SELECT sitting_id, item, seq, value FROM response WHERE sitting_id = ANY ($1::text[])

-- photos_of(sitting_ids) -> one row per sitting with such an event
-- The newest event of each about its photo, as `photo_taken`.
SELECT DISTINCT ON (sitting_id) sitting_id, kind FROM sitting_event
WHERE sitting_id = ANY ($1::text[])
    AND kind IN ('photo_owed', 'photo_taken', 'photo_waived', 'photo_accepted', 'photo_refused')
ORDER BY sitting_id, generation DESC, position DESC

-- mark_laid(batch_id) -> none
-- Redis holds it.
UPDATE batch SET laid_ready = true WHERE batch_id = $1

-- unlaid_batches() -> any number of rows
-- Armed or changed, but the process that did it could not lay it ready.
SELECT batch_id FROM batch WHERE armed_ms IS NOT NULL AND NOT laid_ready ORDER BY starts_ms, batch_id
