-- sittings_of(batch_id) -> any number of rows
-- The roster as it stands.
SELECT * FROM sitting WHERE batch_id = $1 ORDER BY sitting_id

-- hold_rosters() -> one row
-- Pushes into any batch take turns from here to their commit: two that put one person into two batches see one another.
SELECT pg_advisory_xact_lock(hashtextextended('rosters', 0))

-- overlapping(batch_id, id_numbers, starts_ms, closes_ms, admission_code, now_ms) -> any number of rows
-- The same persons in another batch: at the same time, or under the same code while it has not closed for them.
SELECT asked.id_number, batch.batch_id, batch.starts_ms < $4 AND closes.closes_ms > $3 AS same_time
FROM unnest($2::text[]) AS asked (id_number)
-- OFFSET 0: person by person. Of a table that has just grown the planner knows little, and would read all of it.
CROSS JOIN LATERAL (SELECT sitting.batch_id, sitting.extra_time_s FROM sitting WHERE sitting.id_number = asked.id_number OFFSET 0) AS found
JOIN batch USING (batch_id)
CROSS JOIN LATERAL (
    SELECT batch.starts_ms + batch.duration_s * 1000::bigint + (batch.rules ->> 'grace_s')::bigint * 1000 AS closes_ms
) AS closes
WHERE batch.batch_id <> $1
  AND (
      (batch.starts_ms < $4 AND closes.closes_ms > $3)
      OR (batch.admission_code = $5 AND closes.closes_ms + found.extra_time_s * 1000::bigint > $6)
  )
ORDER BY batch.starts_ms, batch.batch_id

-- remove_sittings(sitting_ids) -> none
-- Only ever from a draft: nobody has entered.
DELETE FROM sitting WHERE sitting_id = ANY ($1::text[])

-- put_sittings(columns …) -> none
-- New and changed rows; what a candidate has done is not touched.
INSERT INTO sitting (sitting_id, batch_id, partition, candidate_id, name, id_number, admission_ticket, site, room, seat, extra_time_s)
SELECT sitting_id, $2, partition, candidate_id, name, id_number, admission_ticket, site, room, seat, extra_time_s
FROM unnest($1::text[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::int[])
    AS pushed (sitting_id, partition, candidate_id, name, id_number, admission_ticket, site, room, seat, extra_time_s)
ON CONFLICT (sitting_id) DO UPDATE SET
    name = excluded.name, id_number = excluded.id_number, admission_ticket = excluded.admission_ticket,
    site = excluded.site, room = excluded.room, seat = excluded.seat, extra_time_s = excluded.extra_time_s,
    assigned = CASE
        WHEN (sitting.site, sitting.room, sitting.seat) = (excluded.site, excluded.room, excluded.seat) THEN sitting.assigned
        ELSE ''
    END

-- confirm_seats(sitting_ids) -> none
-- Seats that seating had assigned and that a push now names itself: from here on they are the pusher's.
UPDATE sitting SET assigned = '' WHERE sitting_id = ANY ($1::text[])

-- mark_unlaid(batch_id) -> none
-- Redis does not hold this roster yet; until it does, a recorder will see to it.
UPDATE batch SET laid_ready = false WHERE batch_id = $1
