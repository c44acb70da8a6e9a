-- coming(batch_id, now_ms, until_ms, not_like) -> any number of rows
-- One batch, or with null all that have not closed and start before a moment, canaries left out; with what they hold.
SELECT batch.*, held.sittings, held.unseated, held.extra_time_s
FROM batch CROSS JOIN LATERAL (
    SELECT count(*) AS sittings, count(*) FILTER (WHERE room = '' OR seat = '') AS unseated,
        coalesce(max(extra_time_s), 0) AS extra_time_s
    FROM sitting WHERE sitting.batch_id = batch.batch_id
) AS held
WHERE CASE WHEN $1::text IS NULL
    THEN starts_ms < $3 AND batch_id NOT LIKE $4
        AND starts_ms + (duration_s + held.extra_time_s + coalesce((rules ->> 'grace_s')::bigint, 0)) * 1000 > $2
    ELSE batch_id = $1 END
ORDER BY starts_ms, batch_id

-- papers_of(paper_ids) -> one row per paper that has been pushed
-- What arming would ask of them; of a package its digest.
SELECT paper_id, content IS NOT NULL AS has_content, answer_key_recipient, package.sealed_digest
FROM paper LEFT JOIN package USING (paper_id)
WHERE paper_id = ANY ($1::text[])

-- roster_since_arming(batch_id) -> one row per change, or one without any
-- What the log says of the arming in force and of the pushes and seatings after it, and how many sittings there are now.
WITH armed AS (
    SELECT number, (after ->> 'sittings')::bigint AS sittings FROM batch_event
    WHERE batch_id = $1 AND kind = 'armed' ORDER BY number DESC LIMIT 1
)
SELECT (SELECT count(*) FROM sitting WHERE sitting.batch_id = $1) AS sittings, (SELECT sittings FROM armed) AS armed_with,
    change.at_ms, change.key_id, coalesce((change.after ->> 'added')::bigint, 0) AS added,
    coalesce((change.after ->> 'changed')::bigint, (change.after ->> 'assigned')::bigint, 0) AS changed,
    coalesce((change.after ->> 'removed')::bigint, 0) AS removed
FROM (SELECT 1) AS one
LEFT JOIN batch_event AS change ON change.batch_id = $1 AND (change.kind = 'roster' OR change.kind = 'seated' AND change.after ->> 'assigned' <> '0')
    AND change.number > (SELECT number FROM armed)
ORDER BY change.number

-- sittings_of(batch_id) -> any number of rows
-- Who was laid ready, as it is to lie in Redis.
SELECT sitting_id, batch_id, candidate_id, name, admission_ticket, site, room, seat, extra_time_s, id_number, state, epoch,
    entered_ms, closed_ms, form
FROM sitting WHERE batch_id = $1 ORDER BY sitting_id

-- seal_of(batch_id, form) -> at most one row
-- One sealed paper as arming pinned it.
SELECT form, sealed_digest, sealed, paper_key_wrapped, item_index FROM seal WHERE batch_id = $1 AND form = $2

-- roster_uploaded(batch_id) -> one row
-- When the roster was last pushed and changed something; null before.
SELECT max(at_ms) FROM batch_event WHERE batch_id = $1 AND kind = 'roster'
