-- held_partitions() -> one row
-- How many partitions some recorder holds, or held until a moment ago: a restart under way is nothing to tell.
SELECT count(*) FROM recording JOIN recorder ON recorder.owner = recording.leased_by
WHERE recorder.alive_until > clock_timestamp() - interval '10 seconds'
