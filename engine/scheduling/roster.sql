-- sittings_of(batch_id) -> any number of rows
-- The roster as it stands.
SELECT * FROM sitting WHERE batch_id = $1 ORDER BY sitting_id

-- remove_sittings(sitting_ids) -> none
-- Only ever from a draft: nobody has entered.
DELETE FROM sitting WHERE sitting_id = ANY ($1::text[])

-- change_sittings(columns …) -> none
-- Rows that are there, told like new ones: each is found by its id, however the tables have grown. What a candidate has done is not touched.
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
