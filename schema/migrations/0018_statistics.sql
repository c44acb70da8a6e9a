-- migrate:up

-- Batches whose item statistics somebody asked for: a worker asks, the grader takes the row away and counts.
CREATE TABLE statistics_request (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id text NOT NULL
);

-- Item statistics of a batch, each counting beside the ones before; the newest of the results' stand holds.
CREATE TABLE item_statistics (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id text NOT NULL,
    stand text NOT NULL, -- which results were counted
    is_withheld boolean NOT NULL, -- somebody had yet to sit the paper: nothing that tells its key is in the document
    counted_ms bigint NOT NULL,
    document text NOT NULL
);
CREATE INDEX item_statistics_by_batch ON item_statistics (batch_id, number);

-- Why a flag of the statistics stands, by a named person; append-only, the newest of a flag holds.
CREATE TABLE flag_explanation (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id text NOT NULL,
    paper_digest text NOT NULL,
    item text NOT NULL,
    flag text NOT NULL,
    explanation text NOT NULL,
    explained_by text NOT NULL,
    explained_ms bigint NOT NULL,
    key_id text NOT NULL -- the API key of the call
);
CREATE INDEX flag_explanation_by_batch ON flag_explanation (batch_id, number);

GRANT INSERT ON statistics_request TO liankao_engine;
GRANT SELECT ON item_statistics TO liankao_engine;
GRANT SELECT, INSERT ON flag_explanation TO liankao_engine;
GRANT SELECT, UPDATE, DELETE ON statistics_request TO liankao_grader;
GRANT INSERT ON item_statistics TO liankao_grader;
GRANT SELECT (batch_id) ON result TO liankao_grader;
GRANT SELECT (item_index) ON seal TO liankao_grader;

-- migrate:down
REVOKE SELECT (item_index) ON seal FROM liankao_grader;
REVOKE SELECT (batch_id) ON result FROM liankao_grader;
DROP TABLE flag_explanation;
DROP TABLE item_statistics;
DROP TABLE statistics_request;
