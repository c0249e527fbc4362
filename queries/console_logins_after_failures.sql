-- Which console sign-ins succeeded after several had failed?
--
-- Failures count in the hour before, from the same address or for the same user: guessing many
-- names from one address, or one name from many. A name that does not exist is not recorded.
--
-- Parameters:
--   least  3: failures in the hour before (default 3)
-- Source: MITRE ATT&CK T1110, Brute Force.
WITH logins AS (
    SELECT *, coalesce(userIdentity.userName, userIdentity.arn, userIdentity.type) AS name,
        responseElements->>'$.ConsoleLogin' AS outcome
    FROM cloudtrail
    WHERE eventName = 'ConsoleLogin'
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT won.eventTime, won.account, won.name AS who, won.sourceIPAddress,
    won.additionalEventData->>'$.MFAUsed' AS mfaUsed, count(*) AS failures,
    count(DISTINCT lost.name) AS names, count(DISTINCT lost.sourceIPAddress) AS addresses,
    min(lost.eventTime) AS firstFailure, won.eventID
FROM logins AS won JOIN logins AS lost
    ON lost.account = won.account AND lost.outcome = 'Failure'
   AND lost.eventTime BETWEEN won.eventTime - INTERVAL 1 HOUR AND won.eventTime
   AND (lost.sourceIPAddress = won.sourceIPAddress OR lost.name = won.name)
WHERE won.outcome = 'Success'
GROUP BY ALL
HAVING count(*) >= coalesce(getvariable('least')::BIGINT, 3)
ORDER BY ALL;
