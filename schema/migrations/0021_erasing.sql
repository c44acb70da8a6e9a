-- migrate:up

-- Batches of which something is being erased, or the answers are erased already.
CREATE TABLE erasing (
    batch_id text PRIMARY KEY REFERENCES batch,
    archive_digest text NOT NULL, -- the content of the archive that holds what goes
    closed_ms bigint NOT NULL, -- when the batch closed: its years count from there
    kind text CONSTRAINT erased_kind_is_known CHECK (kind IN ('answers', 'records')), -- under way; null: nothing is
    is_checked boolean NOT NULL DEFAULT false, -- the database was found to hold what the archive holds
    rows jsonb NOT NULL DEFAULT '{}', -- how many of which table went so far
    answers_erased_ms bigint -- when the answers were gone
);

-- Workers have to know that what they are asked for is gone: from it no regrade, no statistics and no history is made.
GRANT SELECT (batch_id) ON erasing TO liankao_engine;

-- migrate:down
DROP TABLE erasing;
