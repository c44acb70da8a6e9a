-- migrate:up

-- A batch carries one paper, or several: its forms, numbered from 0 in the order in which they were pushed.
ALTER TABLE batch
    ALTER paper_id DROP NOT NULL,
    ADD papers text[],
    ADD CONSTRAINT batch_has_one_paper_or_several CHECK ((paper_id IS NULL) <> (papers IS NULL));
ALTER TABLE seal
    ADD form smallint NOT NULL DEFAULT 0,
    DROP CONSTRAINT seal_pkey,
    ADD PRIMARY KEY (batch_id, form);
ALTER TABLE sitting ADD form smallint NOT NULL DEFAULT 0;
GRANT INSERT (form), UPDATE (form) ON sitting TO liankao_engine;
GRANT UPDATE (form) ON sitting TO liankao_recorder;
GRANT SELECT (form) ON sitting TO liankao_grader;
GRANT SELECT (form) ON seal TO liankao_recorder, liankao_grader;

-- migrate:down
ALTER TABLE sitting DROP form;
ALTER TABLE seal DROP CONSTRAINT seal_pkey, DROP form, ADD PRIMARY KEY (batch_id);
ALTER TABLE batch DROP CONSTRAINT batch_has_one_paper_or_several, DROP papers, ALTER paper_id SET NOT NULL;
