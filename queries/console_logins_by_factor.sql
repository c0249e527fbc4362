-- With which factors did people sign in to the console?
--
-- A passkey and a security key are both FIDO credentials: their MFAIdentifier has u2f in it. What a
-- federated sign-in was proved by, only the identity provider knows. Users of IAM Identity Center
-- sign in at its portal (UserAuthentication), whose record says with what, and their way to the
-- console then counts once more, as a federated one. Null is "not said".
--
-- Source: CloudTrail User Guide, "AWS Management Console sign-in events".
WITH logins AS (
    SELECT *, eventName = 'UserAuthentication' AS portal,
        coalesce(responseElements->>'$.ConsoleLogin',
                 serviceEventDetails->>'$.UserAuthentication') AS outcome,
        additionalEventData->>'$.MFAUsed' AS mfaUsed,
        additionalEventData->>'$.MFAIdentifier' AS device,
        additionalEventData->>'$.CredentialType' AS credential
    FROM cloudtrail
    WHERE (eventName = 'ConsoleLogin')
       OR (eventName = 'UserAuthentication'
           AND eventSource IN ('signin.amazonaws.com', 'sso.amazonaws.com'))
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT account, userIdentity.type AS kind,
    coalesce(userIdentity.arn, userIdentity.userName, userIdentity.onBehalfOf.userId,
             userIdentity.principalId) AS who,
    CASE WHEN portal THEN 'Identity Center: ' || coalesce(credential, 'not said')
        WHEN mfaUsed = 'Yes' AND device LIKE '%:u2f/%' THEN 'passkey or security key'
        WHEN mfaUsed = 'Yes' THEN 'code'
        WHEN userIdentity.type NOT IN ('IAMUser', 'Root') THEN 'federated'
        WHEN mfaUsed = 'No' THEN 'password alone' END AS factor,
    count(*) FILTER (outcome = 'Success') AS signIns,
    count(*) FILTER (outcome = 'Failure') AS failed,
    min(eventTime) AS firstTime, max(eventTime) AS lastTime
FROM logins
GROUP BY ALL
ORDER BY account, kind, who, factor;
