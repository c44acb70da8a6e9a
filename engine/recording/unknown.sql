-- find_sittings(sitting_ids) -> one row per known sitting
-- Which of them PostgreSQL knows.
SELECT sitting_id FROM sitting WHERE sitting_id = ANY ($1::text[]) ORDER BY sitting_id
