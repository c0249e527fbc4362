-- calls_from_a_new_address, for Athena.
--
-- Principals first seen since then are left out: everything is new to them. Only real addresses
-- count, not the names of services. Days before since have to be among those that are read.
--
-- Parameters:
--   since      DATE '2026-01-11': the first day, in UTC, whose addresses are new
--   principal  '%': a pattern for ARNs of users or of roles, not of sessions
WITH calls AS (
    SELECT account, eventtime, eventname, sourceipaddress,
        coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn) AS who,
        date >= CAST(? AS date) AS recent
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM cloudtrail
        WHERE regexp_like(sourceipaddress, '^[0-9]+(\.[0-9]+){3}$|:')
    )
    WHERE (copy = 1 OR eventid IS NULL)
), seen AS (
    SELECT *, bool_or(NOT recent) OVER (PARTITION BY who) AS known
    FROM calls
    WHERE who LIKE ?
)
SELECT account, who, sourceipaddress, min(eventtime) AS firsttime, count(*) AS calls,
    array_agg(DISTINCT eventname ORDER BY eventname) AS names
FROM seen
WHERE known
GROUP BY account, who, sourceipaddress
HAVING bool_and(recent)
ORDER BY account, who, firsttime, sourceipaddress
