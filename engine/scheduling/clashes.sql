-- seats_shared(batch_id, starts_ms, closes_ms, earliest_ms, extra_time_ms) -> at most one row
-- Of its seats those that another has then: how many, the first. Over: began before `earliest_ms`; at most `extra_time_ms`.
WITH met AS MATERIALIZED (
    SELECT theirs.*, beside.starts_ms, beside.closes_ms + theirs.extra_time_s * 1000::bigint AS closes_ms
    FROM (SELECT DISTINCT site, room FROM sitting WHERE batch_id = $1 AND seat <> '') AS used
    CROSS JOIN (
        SELECT batch_id, starts_ms, starts_ms + (duration_s + (rules ->> 'grace_s')::bigint) * 1000 AS closes_ms
        FROM batch WHERE batch_id <> $1 AND starts_ms > $4 AND starts_ms < $3::bigint + $5::bigint
    ) AS beside
    -- OFFSET 0: room by room. Of a table that has just grown the planner knows little, and would read all of it.
    CROSS JOIN LATERAL (
        SELECT batch_id, site, room, seat, extra_time_s FROM sitting
        WHERE batch_id = beside.batch_id AND site = used.site AND room = used.room OFFSET 0
    ) AS theirs
)
SELECT ours.site, ours.room, ours.seat, min(met.batch_id) AS batch_id, count(*) OVER () AS seats
FROM met
JOIN sitting AS ours ON ours.batch_id = $1 AND ours.site = met.site AND ours.room = met.room AND ours.seat = met.seat
WHERE ours.seat <> '' AND met.starts_ms < $3 + ours.extra_time_s * 1000::bigint AND met.closes_ms > $2
GROUP BY ours.site, ours.room, ours.seat
ORDER BY ours.site, ours.room, ours.seat
LIMIT 1

-- extra_time_reaching(batch_id, starts_ms, closes_ms, earliest_ms) -> at most one row
-- How many of a batch's people sit another batch before the extra time of one is over, and the first of them.
SELECT ours.candidate_id, min(batch.batch_id) AS batch_id, count(*) OVER () AS people
FROM sitting AS ours
-- OFFSET 0: person by person, for the same reason.
CROSS JOIN LATERAL (
    SELECT sitting.batch_id, sitting.extra_time_s FROM sitting WHERE sitting.id_number = ours.id_number OFFSET 0
) AS theirs
JOIN batch ON batch.batch_id = theirs.batch_id
WHERE ours.batch_id = $1 AND batch.batch_id <> $1 AND batch.starts_ms > $4
  AND batch.starts_ms < $3 + ours.extra_time_s * 1000::bigint
  AND batch.starts_ms + (batch.duration_s + (batch.rules ->> 'grace_s')::bigint + theirs.extra_time_s) * 1000::bigint > $2
GROUP BY ours.candidate_id
ORDER BY ours.candidate_id
LIMIT 1
