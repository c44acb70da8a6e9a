-- migrate:up

-- A row stood from before the comparison with the archive; now from the moment on in which something goes. Of one whose
-- comparison was ended nothing has gone.
DELETE FROM erasing WHERE NOT is_checked AND answers_erased_ms IS NULL;
UPDATE erasing SET kind = NULL WHERE NOT is_checked;
ALTER TABLE erasing DROP COLUMN is_checked;

-- migrate:down
ALTER TABLE erasing ADD COLUMN is_checked boolean NOT NULL DEFAULT false;
UPDATE erasing SET is_checked = kind IS NOT NULL;
