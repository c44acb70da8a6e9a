-- find_batch(batch_id) -> at most one row
-- Its rules and times.
SELECT * FROM batch WHERE batch_id = $1

-- list_photos(batch_id, site, room, state, after, rows_max) -> any number of rows
-- Sittings after one in the order of their ids, each with its newest photo and what was said of that; null for all places, all states.
SELECT sitting.sitting_id, sitting.admission_ticket, sitting.name, sitting.site, sitting.room, sitting.seat,
    sitting.state AS sitting_state, sitting.extra_time_s, newest.number, newest.digest, newest.bytes, newest.taken_ms,
    said.act, said.proctor, said.reason, said.acted_ms
FROM sitting
LEFT JOIN LATERAL (
    SELECT number, digest, octet_length(jpeg) AS bytes, taken_ms FROM photo
    WHERE photo.sitting_id = sitting.sitting_id ORDER BY number DESC LIMIT 1
) AS newest ON true
LEFT JOIN LATERAL (
    SELECT act, proctor, reason, acted_ms FROM photo_act
    WHERE photo_act.sitting_id = sitting.sitting_id AND photo_number = coalesce(newest.number, 0)
    ORDER BY act_number DESC LIMIT 1
) AS said ON true
WHERE sitting.batch_id = $1 AND ($2::text IS NULL OR sitting.site = $2) AND ($3::text IS NULL OR sitting.room = $3)
    AND ($4::text IS NULL OR coalesce(said.act, CASE WHEN newest.number IS NULL THEN 'due' ELSE 'taken' END) = $4)
    AND sitting.sitting_id > $5
ORDER BY sitting.sitting_id
LIMIT $6

-- find_jpeg(sitting_id, number) -> at most one row
-- The picture of that number; the newest for null.
SELECT jpeg, digest, number FROM photo WHERE sitting_id = $1 AND ($2::smallint IS NULL OR number = $2)
ORDER BY number DESC LIMIT 1

-- find_sitting(sitting_id) -> at most one row
-- Whether there is one, armed, and what its batch asks for.
SELECT batch_id, rules, armed_ms FROM sitting JOIN batch USING (batch_id) WHERE sitting_id = $1

-- hold_acts(sitting_id) -> one row
-- One act after the other, so that one sent twice at once is one.
SELECT pg_advisory_xact_lock(hashtextextended($1, 0))

-- newest_photo(sitting_id) -> at most one row
-- What a proctor is looking at.
SELECT number, digest, taken_ms FROM photo WHERE sitting_id = $1 ORDER BY number DESC LIMIT 1

-- newest_act(sitting_id, photo_number) -> at most one row
-- What holds of that photo.
SELECT act, proctor, reason, acted_ms FROM photo_act WHERE sitting_id = $1 AND photo_number = $2
ORDER BY act_number DESC LIMIT 1

-- add_act(sitting_id, photo_number, act, proctor, reason, acted_ms) -> one row
-- Another one; those before it stay.
INSERT INTO photo_act (sitting_id, photo_number, act, proctor, reason, acted_ms) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING act, proctor, reason, acted_ms
