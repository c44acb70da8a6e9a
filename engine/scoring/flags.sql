-- could_have_flags(batch_id, sittings_min) -> one row
-- Whether so many sittings are graded that flags could stand, in a batch that is released by people.
SELECT (SELECT count(*) FROM result WHERE batch_id = $1 AND state = 'graded') >= $2
    AND (SELECT rules ->> 'release' = 'approved' FROM batch WHERE batch_id = $1)

-- newest(batch_id) -> one row
-- What was counted last.
SELECT counted_ms, document FROM item_statistics WHERE batch_id = $1 ORDER BY number DESC LIMIT 1

-- lock_explanations(batch_id) -> one row
-- Who explains flags of one batch takes turns, so that the same sent twice is put on record once.
SELECT pg_advisory_xact_lock(hashtextextended('flag_explanation ' || $1::text, 0))

-- explanations_of(batch_id) -> any number of rows
-- In the order in which they were given: the newest of a flag holds.
SELECT paper_digest, item, flag, explanation, explained_by, explained_ms FROM flag_explanation
WHERE batch_id = $1 ORDER BY number

-- insert_explanations(batch_id, paper_digests, items, flags, explanations, explained_by, explained_ms, key_id) -> none
-- Beside those that were given before.
INSERT INTO flag_explanation (batch_id, paper_digest, item, flag, explanation, explained_by, explained_ms, key_id)
SELECT $1, paper_digest, item, flag, explanation, $6, $7, $8
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS new (paper_digest, item, flag, explanation)
