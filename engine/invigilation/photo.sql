-- store_photo(sitting_id, batch_id, digest, jpeg, taken_ms, photos_max) -> at most one row
-- The next one of the sitting; none when it is here already, or when as many are kept as may be.
INSERT INTO photo (sitting_id, number, batch_id, digest, jpeg, taken_ms)
SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 FROM photo WHERE sitting_id = $1
HAVING coalesce(max(number), 0) < $6
ON CONFLICT DO NOTHING
RETURNING number

-- find_photo(sitting_id, digest) -> at most one row
-- Whether this very picture is here.
SELECT number FROM photo WHERE sitting_id = $1 AND digest = $2

-- count_photos(sitting_id) -> one row
-- How many are kept.
SELECT count(*) FROM photo WHERE sitting_id = $1
