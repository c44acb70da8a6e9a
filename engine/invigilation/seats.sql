-- seats_of(batch_id, site, room, rows_max) -> up to rows_max rows
-- Who sits in a room, how far that is recorded, and how often and how long their pages were left.
SELECT sitting.sitting_id, candidate_id, name, admission_ticket, seat, extra_time_s, state, entered_ms, closed_ms,
    reported.left_count, reported.away_ms, reported.newest = 'window_left' AS is_away
FROM sitting, LATERAL (
    SELECT count(*) FILTER (WHERE kind = 'window_left') AS left_count,
        coalesce(sum(away_ms) FILTER (WHERE kind = 'window_returned'), 0)::bigint AS away_ms,
        (array_agg(kind ORDER BY at_ms DESC, number DESC) FILTER (WHERE key_id IS NULL))[1] AS newest
    FROM room_event WHERE room_event.sitting_id = sitting.sitting_id
) AS reported
WHERE sitting.batch_id = $1 AND site = $2 AND room = $3
ORDER BY seat, sitting.sitting_id
LIMIT $4
