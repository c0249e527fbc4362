-- console_logins_after_failures, for Athena.
--
-- Failures count in the hour before, from the same address or for the same user: guessing many
-- names from one address, or one name from many. A name that does not exist is not recorded.
--
-- Parameters:
--   least  3: failures in the hour before
WITH logins AS (
    SELECT *, coalesce(useridentity.username, useridentity.arn, useridentity.type) AS name,
        json_extract_scalar(responseelements, '$.ConsoleLogin') AS outcome,
        json_extract_scalar(additionaleventdata, '$.MFAUsed') AS mfaused
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM cloudtrail
        WHERE eventname = 'ConsoleLogin'
    )
    WHERE (copy = 1 OR eventid IS NULL)
)
SELECT won.eventtime, won.account, won.name AS who, won.sourceipaddress, won.mfaused,
    count(*) AS failures, count(DISTINCT lost.name) AS names,
    count(DISTINCT lost.sourceipaddress) AS addresses, min(lost.eventtime) AS firstfailure,
    won.eventid
FROM logins AS won JOIN logins AS lost
    ON lost.account = won.account AND lost.outcome = 'Failure'
   AND lost.eventtime BETWEEN won.eventtime - INTERVAL '1' HOUR AND won.eventtime
   AND (lost.sourceipaddress = won.sourceipaddress OR lost.name = won.name)
WHERE won.outcome = 'Success'
GROUP BY won.eventtime, won.account, won.name, won.sourceipaddress, won.mfaused, won.eventid
HAVING count(*) >= CAST(? AS bigint)
ORDER BY eventtime, account, who, sourceipaddress, eventid
