-- register(key_id, purpose, algorithm, public_key, registered_ms) -> none
-- The process that holds the private half says what the public half is, at every start: the last to say so is in use.
INSERT INTO public_key (key_id, purpose, algorithm, public_key, registered_ms) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (key_id) DO UPDATE SET registered_ms = excluded.registered_ms

-- signing_keys() -> any number of rows
-- What receipts, results and archives are verified with, retired keys included.
SELECT public_key FROM public_key WHERE purpose IN ('receipt', 'result', 'archive') ORDER BY registered_ms, key_id

-- newest_answer_key_recipient() -> at most one row
-- To whom the answers of a new paper are sealed.
SELECT public_key FROM public_key WHERE purpose = 'answer_key' ORDER BY registered_ms DESC, key_id LIMIT 1
