-- advance(partitions, old_generations, old_positions, new_generations, new_positions, owner) -> one row per partition
-- The position moves with its rows, and only for the holder of the lease who read from exactly there.
UPDATE recording SET generation = read.new_generation, position = read.new_position
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS read (partition, old_generation, old_position, new_generation, new_position)
WHERE recording.partition = read.partition AND recording.leased_by = $6
  AND recording.generation = read.old_generation AND recording.position = read.old_position
RETURNING recording.partition

-- standing(partitions, generations, positions, owner) -> one row per partition that stands so
-- Whether this recorder still holds them, and nobody has moved them on.
SELECT recording.partition
FROM recording JOIN unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS known (partition, generation, position)
    ON recording.partition = known.partition AND recording.generation = known.generation
    AND recording.position = known.position
WHERE recording.leased_by = $4

-- lock_sittings(sitting_ids) -> one row per sitting that somebody else holds
-- Locks all the others until the commit, and waits for none: one push of a large roster must not stop every recording.
WITH locked AS MATERIALIZED (
    SELECT sitting_id FROM sitting WHERE sitting_id = ANY ($1::text[])
    ORDER BY sitting_id
    FOR NO KEY UPDATE SKIP LOCKED
)
SELECT sitting_id FROM sitting
WHERE sitting_id = ANY ($1::text[]) AND sitting_id NOT IN (SELECT sitting_id FROM locked)
ORDER BY sitting_id

-- upsert_responses(sitting_ids, items, seqs, texts, saved_ms, distinct_sitting_ids) -> none
-- The newest value per item; an older seq never replaces a newer one.
INSERT INTO response (sitting_id, item, seq, value, saved_ms)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[])
    AS newest (sitting_id, item, seq, value, saved_ms)
WHERE newest.sitting_id <> ALL (ARRAY( -- what a rolled-back Redis took for a closed sitting stays out of its score
    SELECT sitting.sitting_id FROM sitting
    WHERE sitting.sitting_id = ANY ($6::text[]) AND sitting.state IN ('submitted', 'collected', 'absent', 'void')
))
ON CONFLICT (sitting_id, item) DO UPDATE SET seq = excluded.seq, value = excluded.value, saved_ms = excluded.saved_ms
WHERE response.seq < excluded.seq

-- update_sittings(sitting_ids, states, epochs, entered_ms, closed_ms, forms) -> none
-- Where each sitting stands after its last event of the chunk.
UPDATE sitting SET
    -- The paper of its first login, whatever a change of seats that did not know of that has written meanwhile.
    form = CASE sitting.state WHEN 'expected' THEN coalesce(newest.form, sitting.form) ELSE sitting.form END,
    state = CASE -- only forward, and a closed one stands: a rolled-back Redis may report a login after a hand-in
        WHEN sitting.state IN ('submitted', 'collected', 'absent', 'void') THEN sitting.state
        WHEN array_position('{expected,checked_in,confirmed,pledged}', newest.state)
            < array_position('{expected,checked_in,confirmed,pledged}', sitting.state) THEN sitting.state
        ELSE newest.state
    END,
    epoch = greatest(sitting.epoch, newest.epoch),
    entered_ms = coalesce(sitting.entered_ms, newest.entered_ms),
    closed_ms = coalesce(sitting.closed_ms, newest.closed_ms)
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[])
    AS newest (sitting_id, state, epoch, entered_ms, closed_ms, form)
WHERE sitting.sitting_id = newest.sitting_id
