-- sealed_digests(batch_ids) -> any number of rows
-- The sealed papers of armed batches.
SELECT sealed_digest FROM seal WHERE batch_id = ANY ($1::text[]) ORDER BY batch_id, form

-- published() -> any number of rows
-- Ids of all signing keys, as GET /v1/keys lists them.
SELECT key_id FROM public_key WHERE purpose IN ('receipt', 'result', 'archive') ORDER BY key_id
