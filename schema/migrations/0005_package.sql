-- migrate:up

-- Papers that came sealed for one batch; their keys come with the shares, at arming.
CREATE TABLE package (
    paper_id text PRIMARY KEY REFERENCES paper,
    batch_id text NOT NULL,
    sealed_digest text NOT NULL,
    sealed bytea NOT NULL,
    key_check text NOT NULL,
    signed_by text NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON package TO liankao_engine;

-- migrate:down
DROP TABLE package;
