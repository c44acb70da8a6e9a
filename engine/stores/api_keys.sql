-- insert_key(key_id, scope, label, digest, created_ms) -> none
-- A new machine client; only the key's SHA-256 is kept.
INSERT INTO api_key (key_id, scope, label, digest, created_ms) VALUES ($1, $2, $3, $4, $5)

-- scope_of(digest) -> at most one row
-- What a presented key may do.
SELECT scope FROM api_key WHERE digest = $1 AND revoked_ms IS NULL

-- all_keys() -> any number of rows
-- For operators: who has a key since when.
SELECT key_id, scope, label, created_ms, revoked_ms FROM api_key ORDER BY created_ms, key_id

-- revoke_key(key_id, now_ms) -> at most one row
-- Takes effect in every worker within the time it remembers keys.
UPDATE api_key SET revoked_ms = $2 WHERE key_id = $1 AND revoked_ms IS NULL RETURNING key_id
