-- lock_packaged(paper_id) -> at most one row
-- The paper in whose place a package is pushed, and which package it was, held against another push.
SELECT paper.digest, package.sealed_digest FROM paper LEFT JOIN package USING (paper_id)
WHERE paper_id = $1 FOR UPDATE OF paper

-- put_packaged_paper(paper_id, digest, items, points, item_index, answer_key_digest, answer_key_recipient, pushed_ms) -> none
-- A paper of which no content is here that anybody could open.
INSERT INTO paper (paper_id, digest, items, points, item_index, answer_key_digest, answer_key_recipient, pushed_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (paper_id) DO UPDATE SET
    digest = excluded.digest, items = excluded.items, points = excluded.points, content = NULL,
    item_index = excluded.item_index, answer_key_digest = excluded.answer_key_digest,
    answer_key_recipient = excluded.answer_key_recipient, pushed_ms = excluded.pushed_ms, content_key_wrapped = NULL

-- put_package(paper_id, batch_id, sealed_digest, sealed, key_check, signed_by) -> none
-- The package itself, as it came.
INSERT INTO package (paper_id, batch_id, sealed_digest, sealed, key_check, signed_by) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (paper_id) DO UPDATE SET
    batch_id = excluded.batch_id, sealed_digest = excluded.sealed_digest, sealed = excluded.sealed,
    key_check = excluded.key_check, signed_by = excluded.signed_by

-- delete_package(paper_id) -> none
-- The paper is no package any more.
DELETE FROM package WHERE paper_id = $1

-- find_package(paper_id) -> at most one row
-- For which batch it was made, and the digest and layout of its sealed paper.
SELECT batch_id, sealed_digest, substring(sealed FROM 1 FOR 4) AS layout FROM package WHERE paper_id = $1

-- lock_package(paper_id) -> at most one row
-- The sealed paper, and how its key is known; nobody may push another meanwhile.
SELECT sealed_digest, sealed, key_check FROM package WHERE paper_id = $1 FOR SHARE
