-- find_sitting(sitting_id) -> at most one row
-- Whose it is, and what its batch says about taking over.
SELECT sitting.batch_id, batch.armed_ms, batch.rules ->> 'takeover' AS takeover
FROM sitting JOIN batch USING (batch_id) WHERE sitting_id = $1
