-- migrate:up

-- What was done to a batch, by whom: append-only.
CREATE TABLE batch_event (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id text NOT NULL,
    kind text NOT NULL,
    at_ms bigint NOT NULL,
    people text[] NOT NULL,
    key_id text,
    before jsonb,
    after jsonb
);
CREATE INDEX batch_event_by_batch ON batch_event (batch_id, number);
GRANT SELECT, INSERT ON batch_event TO liankao_engine;
GRANT INSERT ON batch_event TO liankao_grader;

-- migrate:down
DROP TABLE batch_event;
