-- migrate:up

-- Regrades: a changed answer key, tried over the closed sittings of a batch, then applied or dropped by two people.
CREATE TABLE regrade (
    regrade_id text PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY, -- in the order in which they were proposed
    batch_id text NOT NULL REFERENCES batch,
    state text NOT NULL DEFAULT 'proposed' CONSTRAINT regrade_state_is_known CHECK (state IN (
        'proposed', 'ready', 'failed', 'approved', 'applied', 'dropped')),
    reason text NOT NULL,
    proposed_by text NOT NULL,
    proposed_ms bigint NOT NULL,
    key_id text NOT NULL, -- the API key of the call
    fingerprint bytea NOT NULL, -- keyed: tells the same call again, and no answer
    changes jsonb NOT NULL, -- which members of which items would change, never to what
    tried_ms bigint, -- when the dry run was made
    summary jsonb, -- its figures
    fault text, -- why there is none, or what happened to the last one
    decided_by text[] NOT NULL DEFAULT '{}',
    decided_ms bigint,
    applied_ms bigint,
    CONSTRAINT regrade_is_decided_by_two_people CHECK (
        (state IN ('approved', 'applied', 'dropped')) = (decided_ms IS NOT NULL)
        AND (decided_ms IS NULL OR cardinality(decided_by) >= 2))
);
CREATE UNIQUE INDEX one_open_regrade_per_batch ON regrade (batch_id) WHERE state IN ('proposed', 'ready', 'approved');
CREATE INDEX regrade_by_batch ON regrade (batch_id, number);
CREATE INDEX regrade_to_do ON regrade (number) WHERE state IN ('proposed', 'approved');

-- What a regrade changes to what, sealed to the grader: put in by a worker, read by the grader alone.
CREATE TABLE regrade_change (
    regrade_id text PRIMARY KEY REFERENCES regrade,
    recipient text NOT NULL,
    envelope bytea NOT NULL
);

-- What the dry run found: one row per result it would replace.
CREATE TABLE regrade_sitting (
    regrade_id text NOT NULL REFERENCES regrade,
    sitting_id text NOT NULL REFERENCES sitting,
    old_revision integer NOT NULL, -- the newest there was
    old_score numeric,
    new_score numeric,
    old_passed boolean,
    new_passed boolean,
    direction text NOT NULL CONSTRAINT direction_is_known CHECK (direction IN ('up', 'down', 'same', 'unscored')),
    pass_change text NOT NULL CONSTRAINT pass_change_is_known CHECK (pass_change IN ('', 'gained', 'lost')),
    PRIMARY KEY (regrade_id, sitting_id)
);

-- Answer keys that applied regrades have put in force, each whole: the newest of a batch's form holds.
CREATE TABLE regrade_key (
    regrade_id text NOT NULL REFERENCES regrade,
    number bigint NOT NULL, -- the regrade's
    batch_id text NOT NULL REFERENCES batch,
    form smallint NOT NULL,
    paper_digest text NOT NULL,
    answer_key_digest text NOT NULL,
    recipient text NOT NULL,
    envelope bytea NOT NULL,
    CONSTRAINT regrade_has_one_key_per_form PRIMARY KEY (batch_id, form, number)
);

GRANT SELECT, INSERT, UPDATE (state, fault, decided_by, decided_ms) ON regrade TO liankao_engine;
GRANT INSERT ON regrade_change TO liankao_engine;
GRANT SELECT ON regrade_sitting TO liankao_engine;
GRANT SELECT ON regrade TO liankao_grader;
GRANT UPDATE (state, tried_ms, summary, fault, decided_by, decided_ms, applied_ms) ON regrade TO liankao_grader;
GRANT SELECT ON regrade_change TO liankao_grader;
GRANT SELECT, INSERT, DELETE ON regrade_sitting TO liankao_grader;
GRANT SELECT, INSERT ON regrade_key TO liankao_grader;
GRANT SELECT (document, marks) ON result TO liankao_grader; -- a regrade begins at the results there are

-- migrate:down
REVOKE SELECT (document, marks) ON result FROM liankao_grader;
DROP TABLE regrade_key, regrade_sitting, regrade_change, regrade;
