-- seats_shared(batch_id, starts_ms, closes_ms, earliest_ms) -> at most one row
-- How many of a batch's seats another batch has at the same time, and the first. `earliest_ms`: what began before is over.
SELECT ours.site, ours.room, ours.seat, min(batch.batch_id) AS batch_id, count(*) OVER () AS seats
FROM batch
JOIN sitting AS theirs USING (batch_id)
JOIN sitting AS ours
    ON ours.batch_id = $1 AND ours.site = theirs.site AND ours.room = theirs.room AND ours.seat = theirs.seat AND ours.seat <> ''
WHERE batch.batch_id <> $1 AND batch.starts_ms > $4 AND theirs.seat <> ''
  AND batch.starts_ms < $3 + ours.extra_time_s * 1000::bigint
  AND batch.starts_ms + (batch.duration_s + (batch.rules ->> 'grace_s')::bigint + theirs.extra_time_s) * 1000::bigint > $2
GROUP BY ours.site, ours.room, ours.seat
ORDER BY ours.site, ours.room, ours.seat
LIMIT 1

-- extra_time_reaching(batch_id, starts_ms, closes_ms, earliest_ms) -> at most one row
-- How many of a batch's people sit another batch before the extra time of one is over, and the first of them.
SELECT ours.candidate_id, min(batch.batch_id) AS batch_id, count(*) OVER () AS people
FROM sitting AS ours
JOIN sitting AS theirs ON theirs.id_number = ours.id_number AND theirs.batch_id <> $1
JOIN batch ON batch.batch_id = theirs.batch_id
WHERE ours.batch_id = $1 AND batch.starts_ms > $4
  AND batch.starts_ms < $3 + ours.extra_time_s * 1000::bigint
  AND batch.starts_ms + (batch.duration_s + (batch.rules ->> 'grace_s')::bigint + theirs.extra_time_s) * 1000::bigint > $2
GROUP BY ours.candidate_id
ORDER BY ours.candidate_id
LIMIT 1
