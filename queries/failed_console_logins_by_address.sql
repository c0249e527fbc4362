-- From which addresses did console sign-ins fail, and did one succeed from there as well?
--
-- A failed sign-in has an errorMessage but no errorCode. A name that does not exist reads
-- HIDDEN_DUE_TO_SECURITY_REASONS.
--
-- Source: CIS AWS Foundations Benchmark, "Monitoring": failed console sign-ins.
WITH logins AS (
    SELECT *
    FROM cloudtrail
    WHERE eventName = 'ConsoleLogin'
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT account, sourceIPAddress,
    count(*) FILTER ((responseElements->>'$.ConsoleLogin') = 'Failure') AS failed,
    count(*) FILTER ((responseElements->>'$.ConsoleLogin') = 'Success') AS succeeded,
    list(DISTINCT userIdentity.userName ORDER BY userIdentity.userName) AS names,
    min(eventTime) AS firstTime, max(eventTime) AS lastTime
FROM logins
GROUP BY account, sourceIPAddress
HAVING failed > 0
ORDER BY failed DESC, account, sourceIPAddress;
