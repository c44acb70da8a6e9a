-- hold_rosters() -> one row
-- Pushes into any batch take turns from here to their commit: two that put one person into two batches see one another.
SELECT pg_advisory_xact_lock(hashtextextended('rosters', 0))

-- sittings_elsewhere(batch_id, id_numbers, starts_ms, closes_ms, admission_code, now_ms, occupation, level, subject, since_ms) -> any number of rows
-- The same persons in other batches: at the same time, under the same code while it has not closed for them, or attempting the same since then.
SELECT asked.id_number, other.batch_id, other.starts_ms, met.same_time, met.same_code, met.is_attempt
FROM unnest($2::text[]) AS asked (id_number)
-- OFFSET 0: person by person. Of a table that has just grown the planner knows little, and would read all of it.
CROSS JOIN LATERAL (
    SELECT batch_id, state, extra_time_s FROM sitting
    WHERE sitting.id_number = asked.id_number AND sitting.batch_id <> $1 OFFSET 0
) AS found
CROSS JOIN LATERAL (
    SELECT *, starts_ms + (duration_s + (rules ->> 'grace_s')::bigint) * 1000 AS closes_ms
    FROM batch WHERE batch.batch_id = found.batch_id OFFSET 0
) AS other
CROSS JOIN LATERAL (
    SELECT other.starts_ms < $4 AND other.closes_ms > $3 AS same_time,
        other.admission_code = $5 AND other.closes_ms + found.extra_time_s * 1000::bigint > $6 AS same_code,
        -- Who was absent has made none.
        other.kind = 'formal' AND other.occupation = $7 AND other.level = $8 AND other.subject = $9
            AND other.starts_ms BETWEEN $10 AND $3 AND found.state NOT IN ('absent', 'void') AS is_attempt
) AS met
WHERE met.same_time OR met.same_code OR met.is_attempt
ORDER BY other.starts_ms, other.batch_id
