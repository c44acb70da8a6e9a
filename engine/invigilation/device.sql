-- find_machine(sitting_id) -> at most one row
-- The machine of a sitting, and how many candidates its site has at once; spares replace others and do not count.
SELECT site, room, seat, (
    SELECT count(*) FROM sitting AS other
    WHERE other.batch_id = sitting.batch_id AND other.site = sitting.site AND other.seat ~ '^[0-9]'
) AS candidates
FROM sitting WHERE sitting_id = $1

-- keep_check(site, room, seat, batch_id, checked_ms, verdict, measured, findings) -> none
-- A machine's newest check takes the place of the one before in the same batch.
INSERT INTO device_check (site, room, seat, batch_id, checked_ms, verdict, measured, findings)
VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb)
ON CONFLICT (site, room, seat, batch_id) DO UPDATE SET
    checked_ms = excluded.checked_ms, verdict = excluded.verdict, measured = excluded.measured,
    findings = excluded.findings, checks = device_check.checks + 1

-- batch_at(batch_id, site, room) -> at most one row
-- A batch's title and kind, how many candidates it has at a site at once, and whether any of its seats is in the room.
SELECT title, kind, (
    SELECT count(*) FROM sitting WHERE sitting.batch_id = batch.batch_id AND site = $2 AND seat ~ '^[0-9]'
) AS candidates, EXISTS (
    SELECT 1 FROM sitting WHERE sitting.batch_id = batch.batch_id AND site = $2 AND room = $3
) AS has_room
FROM batch WHERE batch_id = $1

-- machines_in(batch_id, site, room, management_seat, is_own) -> one row per machine
-- The batch's seats in a room and its management machine, each with its newest check: of this batch, or of any.
SELECT seats.seat, newest.checked_ms, newest.checks, newest.findings
FROM (
    SELECT seat FROM sitting WHERE batch_id = $1 AND site = $2 AND room = $3
    UNION SELECT $4
) AS seats
LEFT JOIN LATERAL (
    SELECT checked_ms, checks, findings FROM device_check
    WHERE site = $2 AND room = $3 AND device_check.seat = seats.seat AND (NOT $5 OR device_check.batch_id = $1)
    ORDER BY checked_ms DESC LIMIT 1
) AS newest ON true
