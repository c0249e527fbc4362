-- first_use_of_a_region, for Athena.
--
-- Accounts that the days read show only since then are left out: all their regions are new. Calls
-- that AWS services make for somebody, and service events, do not count. Inventories read every
-- region: firstwrite is when something was first changed there, null if nothing was.
--
-- Parameters:
--   since  DATE '2026-01-11': the first day, in UTC, of what is new
WITH calls AS (
    SELECT account, awsregion, eventtime, readonly, eventsource, eventname, sourceipaddress, date,
        coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn,
                 useridentity.principalid) AS who,
        ROW(eventtime, coalesce(eventid, '')) AS place
    FROM cloudtrail
    WHERE useridentity.invokedby IS NULL AND eventtype IS DISTINCT FROM 'AwsServiceEvent'
), regions AS (
    SELECT account, awsregion, min(eventtime) AS firsttime,
        min(eventtime) FILTER (WHERE readonly = false) AS firstwrite,
        min_by(who, place) AS who, min_by(sourceipaddress, place) AS sourceipaddress,
        min_by(eventsource, place) AS eventsource, min_by(eventname, place) AS eventname,
        count(DISTINCT who) AS principals, min(date) AS firstdate
    FROM calls
    GROUP BY account, awsregion
), known AS (
    SELECT *, min(firstdate) OVER (PARTITION BY account) AS accountsfirstdate
    FROM regions
), wanted AS (
    SELECT CAST(? AS date) AS since
)
SELECT account, awsregion, firsttime, firstwrite, who, sourceipaddress, eventsource, eventname,
    principals
FROM known CROSS JOIN wanted
WHERE firstdate >= since AND accountsfirstdate < since
ORDER BY account, firsttime, awsregion
