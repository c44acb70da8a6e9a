-- clock() -> one row
-- PostgreSQL's clock in milliseconds.
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint

-- settings(names) -> one row per setting
-- As this session has them, and what waits for a restart; what the command line says wins over the file for ever.
SELECT name, setting, pending_restart AND source <> 'command line' AS pending_restart
FROM pg_settings WHERE name = ANY ($1::text[]) OR pending_restart

-- server() -> one row
-- Which server this is, whether it takes writes, and whether it runs on this machine (no address, or a loopback one).
SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS is_replica,
    inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1' AS is_here,
    CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') ELSE '' END AS folder

-- strangers() -> one row
-- Sessions of clients that are none of the engine's pools.
SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name NOT LIKE 'liankao%'
    AND NOT EXISTS (SELECT FROM recorder WHERE owner = application_name)

-- leases(longest_s) -> one row per partition
-- How far each is recorded, and whether a living recorder holds it, or held it a moment ago.
SELECT partition, generation, coalesce(alive_until > clock_timestamp() - make_interval(secs => $1), false) AS is_held
FROM recording LEFT JOIN recorder ON recorder.owner = recording.leased_by
ORDER BY partition

-- unlaid() -> any number of rows
-- Armed or changed, but Redis does not hold it so yet.
SELECT batch_id FROM batch WHERE armed_ms IS NOT NULL AND NOT laid_ready ORDER BY batch_id

-- unwithdrawn() -> any number of rows
-- Disarmed, but Redis may hold something of it.
SELECT DISTINCT batch_id FROM disarming WHERE NOT is_withdrawn ORDER BY batch_id

-- ungraded() -> any number of rows
-- Closed sittings that no grader has taken, by batch.
SELECT batch_id, count(*) AS sittings, coalesce(min(closed_ms), 0) AS oldest_ms FROM sitting
WHERE NOT is_graded AND state IN ('submitted', 'collected', 'absent', 'void')
GROUP BY batch_id ORDER BY batch_id

-- pushes(late_ms) -> any number of rows
-- Webhooks that are disabled, wait too long, or have given deliveries up.
SELECT webhook_id, disabled_why, held.oldest_ms, held.dead,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint - held.oldest_ms AS waited_ms
FROM webhook CROSS JOIN LATERAL (
    SELECT min(queued_ms) FILTER (WHERE state = 'waiting') AS oldest_ms, count(*) FILTER (WHERE state = 'dead') AS dead
    FROM webhook_delivery WHERE webhook_delivery.webhook_id = webhook.webhook_id AND state <> 'delivered'
) AS held
WHERE disabled_ms IS NOT NULL OR held.dead > 0
    OR held.oldest_ms < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1
ORDER BY webhook_id

-- applied() -> one row per migration
-- What the database has been brought to.
SELECT version FROM schema_migrations ORDER BY version
