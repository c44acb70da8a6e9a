-- earlier_batches(batch_id, occupation, level, subject, since_ms, starts_ms) -> any number of rows
-- Formal batches of the same occupation, level and subject that start in [since, starts), or at the same moment.
SELECT batch_id FROM batch
WHERE kind = 'formal' AND occupation = $2 AND level = $3 AND subject = $4
  AND starts_ms >= $5 AND starts_ms <= $6 AND batch_id <> $1

-- attempts_of(id_numbers, batch_ids) -> any number of rows
-- Who of these people sat in one of these batches, or is to; who was absent has made no attempt.
SELECT asked.id_number, found.batch_id, batch.starts_ms
FROM unnest($1::text[]) AS asked (id_number)
CROSS JOIN LATERAL ( -- OFFSET 0: person by person, as rosters are compared
    SELECT sitting.batch_id, sitting.state FROM sitting WHERE sitting.id_number = asked.id_number OFFSET 0
) AS found
JOIN batch USING (batch_id)
WHERE found.batch_id = ANY ($2::text[]) AND found.state NOT IN ('absent', 'void')
ORDER BY batch.starts_ms, found.batch_id

-- roster_changed(batch_id) -> one row
-- When the roster was last pushed and changed something; null before.
SELECT max(at_ms) FROM batch_event WHERE batch_id = $1 AND kind = 'roster'
