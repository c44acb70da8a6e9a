-- migrate:up

-- Score reviews: a candidate's published result looked at once more by the grader, then answered by a person.
CREATE TABLE score_review (
    sitting_id text NOT NULL,
    revision integer NOT NULL, -- of the result that is reviewed
    number bigint GENERATED ALWAYS AS IDENTITY, -- in the order in which they became visible, per batch
    batch_id text NOT NULL REFERENCES batch,
    state text NOT NULL DEFAULT 'filed' CONSTRAINT score_review_state_is_known CHECK (state IN ('filed', 'checked', 'answered')),
    requested_by text NOT NULL,
    requested_ms bigint NOT NULL,
    due_ms bigint NOT NULL, -- until when it is to be answered
    grounds text[] NOT NULL,
    words text NOT NULL, -- the candidate's own
    receipt text NOT NULL, -- as it was shown, RFC 8785; empty without one
    key_id text NOT NULL, -- the API key of the call
    checked_ms bigint,
    findings jsonb, -- [{check, ok, detail, detail_zh}]
    answered_by text,
    answer text,
    answered_ms bigint,
    PRIMARY KEY (sitting_id, revision),
    CONSTRAINT score_review_is_of_a_result FOREIGN KEY (sitting_id, revision) REFERENCES result,
    CONSTRAINT score_review_is_checked_before_it_is_answered CHECK (
        (state <> 'filed') = (checked_ms IS NOT NULL) AND (checked_ms IS NULL) = (findings IS NULL)
        AND (state = 'answered') = (answered_ms IS NOT NULL)
        AND (answered_ms IS NULL) = (answer IS NULL) AND (answer IS NULL) = (answered_by IS NULL))
);
CREATE INDEX score_review_by_batch ON score_review (batch_id, number);
CREATE INDEX score_review_to_check ON score_review (number) WHERE state = 'filed';

GRANT SELECT, INSERT, UPDATE (state, answered_by, answer, answered_ms) ON score_review TO liankao_engine;
GRANT SELECT, UPDATE (state, checked_ms, findings) ON score_review TO liankao_grader;
-- What a recheck compares a result with; nothing of it the grader can change.
GRANT SELECT (seq) ON response TO liankao_grader;
GRANT SELECT (sitting_id, item, seq, value, saved_ms, generation, position) ON response_history TO liankao_grader;
GRANT SELECT (sitting_id, kind, at_ms) ON sitting_event TO liankao_grader;
GRANT SELECT (sitting_id, kind, away_ms) ON room_event TO liankao_grader;
GRANT SELECT (closed_ms, extra_time_s) ON sitting TO liankao_grader;

-- migrate:down
REVOKE SELECT (closed_ms, extra_time_s) ON sitting FROM liankao_grader;
REVOKE SELECT (sitting_id, kind, away_ms) ON room_event FROM liankao_grader;
REVOKE SELECT (sitting_id, kind, at_ms) ON sitting_event FROM liankao_grader;
REVOKE SELECT (sitting_id, item, seq, value, saved_ms, generation, position) ON response_history FROM liankao_grader;
REVOKE SELECT (seq) ON response FROM liankao_grader;
DROP TABLE score_review;
