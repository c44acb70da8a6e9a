-- migrate:up

-- The grader has to know that what it is asked for is gone: from it nothing is counted, and nothing checked.
GRANT SELECT (batch_id) ON erasing TO liankao_grader;

-- migrate:down
REVOKE SELECT (batch_id) ON erasing FROM liankao_grader;
