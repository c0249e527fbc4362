-- Who signed in to the console without MFA?
--
-- MFAUsed is about AWS's own MFA: a federated sign-in says No even if the identity provider asked
-- for a second factor. Null is "not said", and is listed too.
--
-- Source: CIS AWS Foundations Benchmark, "Monitoring": sign-in without MFA.
SELECT eventTime, account, userIdentity.type AS kind,
    coalesce(userIdentity.arn, userIdentity.userName, userIdentity.principalId) AS who,
    sourceIPAddress, additionalEventData->>'$.MFAUsed' AS mfaUsed, userAgent, eventID
FROM cloudtrail
WHERE eventName = 'ConsoleLogin'
  AND (responseElements->>'$.ConsoleLogin') = 'Success'
  AND (additionalEventData->>'$.MFAUsed') IS DISTINCT FROM 'Yes'
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
