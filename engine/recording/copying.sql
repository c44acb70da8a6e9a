-- lock_sittings(sitting_ids) -> one row per known sitting
-- Held against grading and closing while they are restored.
SELECT sitting_id, state IN ('submitted', 'collected', 'absent', 'void') AS is_closed
FROM sitting WHERE sitting_id = ANY ($1::text[])
ORDER BY sitting_id
FOR NO KEY UPDATE

-- find_newer(sitting_ids, items, seqs) -> one row per sitting
-- Of which PostgreSQL lacks a response, or has an older one.
SELECT sitting_id, sitting.is_graded
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS newest (sitting_id, item, seq)
JOIN sitting USING (sitting_id)
LEFT JOIN response USING (sitting_id, item)
WHERE response.seq IS NULL OR response.seq < newest.seq
GROUP BY sitting_id, sitting.is_graded
ORDER BY sitting_id

-- put_responses(sitting_ids, items, seqs, texts, saved_ms) -> one row per response written
-- The newest value per item; an older seq never replaces a newer one.
INSERT INTO response (sitting_id, item, seq, value, saved_ms)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[])
ON CONFLICT (sitting_id, item) DO UPDATE SET seq = excluded.seq, value = excluded.value, saved_ms = excluded.saved_ms
WHERE response.seq < excluded.seq
RETURNING sitting_id

-- put_sittings(sitting_ids, states, epochs, entered_ms, closed_ms, forms) -> one row per sitting moved
-- Where each stands; only forward.
UPDATE sitting SET
    -- Of an entry that PostgreSQL has not heard of, Redis knows the paper.
    form = CASE sitting.state WHEN 'expected' THEN coalesce(found.form, sitting.form) ELSE sitting.form END,
    state = CASE
        WHEN array_position('{expected,checked_in,confirmed,pledged,collected,submitted,absent,void}', found.state)
            < array_position('{expected,checked_in,confirmed,pledged,collected,submitted,absent,void}', sitting.state)
            THEN sitting.state
        ELSE found.state
    END,
    epoch = greatest(sitting.epoch, found.epoch),
    entered_ms = coalesce(sitting.entered_ms, found.entered_ms),
    closed_ms = coalesce(sitting.closed_ms, found.closed_ms)
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[])
    AS found (sitting_id, state, epoch, entered_ms, closed_ms, form)
WHERE sitting.sitting_id = found.sitting_id AND (
    sitting.epoch < found.epoch
    OR array_position('{expected,checked_in,confirmed,pledged,collected,submitted,absent,void}', sitting.state)
        < array_position('{expected,checked_in,confirmed,pledged,collected,submitted,absent,void}', found.state)
)
RETURNING sitting.sitting_id

-- add_events(sitting_ids, epochs, at_ms, generation, position) -> none
-- One mark per sitting and restoring, however often it is repeated: what came before it is incomplete.
INSERT INTO sitting_event (sitting_id, kind, at_ms, epoch, generation, position)
SELECT sitting_id, 'restored', $3, epoch, $4, $5
FROM unnest($1::text[], $2::bigint[]) AS touched (sitting_id, epoch)
WHERE NOT EXISTS (
    SELECT 1 FROM sitting_event
    WHERE sitting_event.sitting_id = touched.sitting_id AND kind = 'restored' AND generation = $4 AND position = $5
)
