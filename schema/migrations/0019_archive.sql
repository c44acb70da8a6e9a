-- migrate:up

-- What was archived of a batch; only the owner writes here, and no process reads it.
CREATE TABLE archive (
    batch_id text NOT NULL REFERENCES batch,
    digest text NOT NULL,
    bytes bigint NOT NULL,
    key_id text NOT NULL,
    made_ms bigint NOT NULL,
    PRIMARY KEY (batch_id, digest)
);

-- Else erasing a sitting would look through all that regrades ever tried.
CREATE INDEX regrade_sitting_by_sitting ON regrade_sitting (sitting_id);

ALTER TABLE public_key DROP CONSTRAINT public_key_purpose_is_known;
ALTER TABLE public_key ADD CONSTRAINT public_key_purpose_is_known
    CHECK (purpose IN ('receipt', 'result', 'answer_key', 'archive'));

-- migrate:down
DROP INDEX regrade_sitting_by_sitting;
DELETE FROM public_key WHERE purpose = 'archive';
ALTER TABLE public_key DROP CONSTRAINT public_key_purpose_is_known;
ALTER TABLE public_key ADD CONSTRAINT public_key_purpose_is_known CHECK (purpose IN ('receipt', 'result', 'answer_key'));
DROP TABLE archive;
