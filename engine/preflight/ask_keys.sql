-- registered() -> any number of rows
-- Public halves that processes have registered, and which of each purpose was the last.
SELECT key_id, purpose, row_number() OVER (PARTITION BY purpose ORDER BY registered_ms DESC, key_id) = 1 AS is_newest
FROM public_key

-- seals_of(batch_id) -> one row per paper
-- Wrapped paper keys of an armed batch, and to which grader the answers are sealed.
SELECT form, paper_key_wrapped, answer_key_recipient FROM seal WHERE batch_id = $1 ORDER BY form
