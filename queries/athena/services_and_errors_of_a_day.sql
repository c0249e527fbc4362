-- services_and_errors_of_a_day, for Athena.
--
-- Some services put their errors into responseelements, where this does not see them.
SELECT account, eventsource, count(*) AS calls, count(errorcode) AS failed,
    histogram(errorcode) AS errors
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
)
WHERE (copy = 1 OR eventid IS NULL)
GROUP BY account, eventsource
ORDER BY calls DESC, account, eventsource
