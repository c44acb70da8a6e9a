-- lock_paper(paper_id) -> at most one row
-- The paper as it is pinned; nobody may push another meanwhile.
SELECT digest, content IS NOT NULL AS has_content, content_key_wrapped, item_index, answer_key_digest, answer_key_recipient
FROM paper WHERE paper_id = $1 FOR SHARE

-- content_of(paper_id) -> one row
-- What is sealed, itself sealed as it arrived.
SELECT content FROM paper WHERE paper_id = $1

-- insert_seal(batch_id, form, sealed_digest, sealed, paper_key_wrapped, paper_digest, item_index, answer_key_digest, answer_key_recipient) -> none
-- Pin a paper of a batch, its key and answer key for ever.
INSERT INTO seal (batch_id, form, sealed_digest, sealed, paper_key_wrapped, paper_digest, item_index, answer_key_digest, answer_key_recipient)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- arm(batch_id, armed_ms, witnesses) -> none
-- From here on paper, time and rules stand.
UPDATE batch SET armed_ms = $2, witnesses = $3::text[] WHERE batch_id = $1 AND armed_ms IS NULL

-- live_recorders() -> one row
-- Partitions some recorder holds, or held until a moment ago: a restart under way is no reason to refuse.
SELECT count(*) FROM recording JOIN recorder ON recorder.owner = recording.leased_by
WHERE recorder.alive_until > clock_timestamp() - interval '30 seconds'

-- still_withdrawing(batch_id) -> one row
-- Whether Redis may hold anything of an arming that was undone.
SELECT EXISTS (SELECT FROM disarming WHERE batch_id = $1 AND NOT is_withdrawn)
