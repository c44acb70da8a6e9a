-- sittings_of(batch_id) -> any number of rows
-- Who is on the roster, and where; of a held batch nobody changes it meanwhile.
SELECT sitting_id, candidate_id, admission_ticket, site, room, seat, extra_time_s, form FROM sitting
WHERE batch_id = $1 ORDER BY sitting_id

-- beside(batch_id, sites, starts_ms, closes_ms, earliest_ms) -> any number of rows
-- Who of other batches sits at these sites while this batch does. `earliest_ms`: no batch that began before can still last.
SELECT batch.batch_id,
    -- Of several papers each sitting's is known once the batch is armed.
    coalesce(batch.paper_id, CASE WHEN batch.armed_ms IS NULL THEN '' ELSE batch.papers[sitting.form + 1] END) AS paper_id,
    sitting.admission_ticket, sitting.site, sitting.room, sitting.seat
FROM batch
JOIN sitting USING (batch_id)
WHERE batch.batch_id <> $1 AND batch.starts_ms > $5 AND batch.starts_ms < $4 AND sitting.site = ANY ($2::text[])
    AND batch.starts_ms + (batch.duration_s + (batch.rules ->> 'grace_s')::bigint + sitting.extra_time_s) * 1000::bigint > $3

-- assign_seats(sitting_ids, rooms, seats) -> none
-- Where each of them sits from now on, and what of it was chosen here.
UPDATE sitting SET
    room = planned.room,
    seat = planned.seat,
    assigned = CASE WHEN sitting.room = planned.room AND sitting.assigned <> 'room_and_seat' THEN 'seat' ELSE 'room_and_seat' END
FROM unnest($1::text[], $2::text[], $3::text[]) AS planned (sitting_id, room, seat)
WHERE sitting.sitting_id = planned.sitting_id

-- open_seats(batch_id) -> none
-- Takes back what was chosen here; what the roster gave stays.
UPDATE sitting SET
    room = CASE assigned WHEN 'room_and_seat' THEN '' ELSE room END,
    seat = '',
    assigned = ''
WHERE batch_id = $1 AND assigned <> ''

-- mark_unlaid(batch_id) -> none
-- Redis does not hold these seats yet; until it does, a recorder will see to it.
UPDATE batch SET laid_ready = false WHERE batch_id = $1
