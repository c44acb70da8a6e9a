-- lock_events(batch_id) -> one row
-- Writers of one batch take turns until they commit, so that a number once visible has none below it still to come.
SELECT pg_advisory_xact_lock(hashtextextended('room_event ' || $1::text, 0))

-- add_events(batch_id, sitting_id, recorded_ms, event_ids, kinds, at_ms, away_ms, proctors, reasons, key_ids) -> none
-- Each once, however often it is sent.
INSERT INTO room_event (batch_id, sitting_id, recorded_ms, event_id, kind, at_ms, away_ms, proctor, reason, key_id)
SELECT $1, $2, $3, event_id, kind, at_ms, away_ms, proctor, reason, key_id
FROM unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[])
    WITH ORDINALITY AS new (event_id, kind, at_ms, away_ms, proctor, reason, key_id, turn)
ORDER BY turn
ON CONFLICT (sitting_id, event_id) DO NOTHING

-- count_reported(sitting_id, event_ids) -> one row
-- How many events a candidate's page has on record, and which of these are among them.
SELECT count(*) AS reported, coalesce(array_agg(event_id) FILTER (WHERE event_id = ANY ($2::text[])), '{}') AS known
FROM room_event WHERE sitting_id = $1 AND key_id IS NULL

-- find_batch(batch_id) -> at most one row
-- Whether there is such a batch.
SELECT 1 FROM batch WHERE batch_id = $1

-- page_of_events(batch_id, after, rows_max) -> up to rows_max rows
-- A batch's events in the order in which they were recorded.
SELECT number, sitting_id, kind, at_ms, recorded_ms, away_ms, proctor, reason, key_id
FROM room_event WHERE batch_id = $1 AND number > $2 ORDER BY number LIMIT $3

-- page_of_room_events(batch_id, after, rows_max, site, room) -> up to rows_max rows
-- The same of one room.
SELECT number, room_event.sitting_id, kind, at_ms, recorded_ms, away_ms, proctor, reason, key_id
FROM room_event JOIN sitting ON sitting.sitting_id = room_event.sitting_id
WHERE room_event.batch_id = $1 AND number > $2 AND site = $4 AND room = $5 ORDER BY number LIMIT $3
