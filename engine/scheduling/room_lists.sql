-- sittings_at(batch_id, site, room, rows_max) -> up to rows_max rows
-- Who is on the lists of a room, of a site, or (nulls) of the whole batch.
SELECT name, id_number, admission_ticket, site, room, seat, extra_time_s FROM sitting
WHERE batch_id = $1 AND ($2::text IS NULL OR site = $2) AND ($3::text IS NULL OR room = $3)
ORDER BY site, room, sitting_id
LIMIT $4
