-- Which services were called most on one day, and which errors did they give?
--
-- Only the folders of that day are read. Some services put their errors into responseElements,
-- where this does not see them.
--
-- Parameters:
--   day  2026-01-11: the day, in UTC (default yesterday)
-- Source: Athena User Guide, "Query AWS CloudTrail logs".
WITH calls AS (
    SELECT *
    FROM cloudtrail
    WHERE year = year(coalesce(getvariable('day')::DATE, current_date - 1))
      AND month = month(coalesce(getvariable('day')::DATE, current_date - 1))
      AND day = day(coalesce(getvariable('day')::DATE, current_date - 1))
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT account, eventSource, count(*) AS calls, count(errorCode) AS failed,
    histogram(errorCode) AS errors
FROM calls
GROUP BY account, eventSource
ORDER BY calls DESC, account, eventSource;
