-- failed_console_logins_by_address, for Athena.
--
-- A failed sign-in has an errormessage but no errorcode. A name that does not exist reads
-- HIDDEN_DUE_TO_SECURITY_REASONS.
WITH logins AS (
    SELECT *, json_extract_scalar(responseelements, '$.ConsoleLogin') AS outcome
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM cloudtrail
        WHERE eventname = 'ConsoleLogin'
    )
    WHERE (copy = 1 OR eventid IS NULL)
)
SELECT account, sourceipaddress, count_if(outcome = 'Failure') AS failed,
    count_if(outcome = 'Success') AS succeeded,
    array_agg(DISTINCT useridentity.username ORDER BY useridentity.username) AS names,
    min(eventtime) AS firsttime, max(eventtime) AS lasttime
FROM logins
GROUP BY account, sourceipaddress
HAVING count_if(outcome = 'Failure') > 0
ORDER BY failed DESC, account, sourceipaddress
