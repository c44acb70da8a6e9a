-- earlier_batches(batch_id, occupation, level, subject, since_ms, starts_ms) -> any number of rows
-- Formal batches of the same occupation, level and subject that start in [since, starts), or at the same moment.
SELECT batch_id FROM batch
WHERE kind = 'formal' AND occupation = $2 AND level = $3 AND subject = $4
  AND starts_ms >= $5 AND starts_ms <= $6 AND batch_id <> $1

-- attempts_of(id_numbers, batch_ids) -> any number of rows
-- Who of these people sat in one of these batches, or is to; who was absent has made no attempt.
SELECT sitting.id_number, sitting.batch_id, batch.starts_ms
FROM sitting JOIN batch USING (batch_id)
WHERE sitting.id_number = ANY ($1::text[]) AND sitting.batch_id = ANY ($2::text[])
  AND sitting.state NOT IN ('absent', 'void')
ORDER BY batch.starts_ms, sitting.batch_id

-- roster_changed(batch_id) -> one row
-- When the roster was last pushed and changed something; null before.
SELECT max(at_ms) FROM batch_event WHERE batch_id = $1 AND kind = 'roster'
