-- roster_changed(batch_id) -> one row
-- When the roster was last pushed and changed something; null before.
SELECT max(at_ms) FROM batch_event WHERE batch_id = $1 AND kind = 'roster'
