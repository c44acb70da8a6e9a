-- insert_event(batch_id, kind, at_ms, people, key_id, before, after) -> none
-- One thing that was done to a batch.
INSERT INTO batch_event (batch_id, kind, at_ms, people, key_id, before, after)
VALUES ($1, $2, $3, $4::text[], $5, $6::jsonb, $7::jsonb)
