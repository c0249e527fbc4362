-- Who read which secrets and encrypted parameters?
--
-- A secret is named as it was asked for: by name or by ARN. Parameters count when the call asked
-- for their decrypted value, which it may do for plain ones too.
--
-- Source: MITRE ATT&CK T1555.006, Cloud Secrets Management Stores.
WITH calls AS (
    SELECT *
    FROM cloudtrail
    WHERE (eventSource = 'secretsmanager.amazonaws.com'
           AND eventName IN ('GetSecretValue', 'BatchGetSecretValue'))
       OR (eventSource = 'ssm.amazonaws.com'
           AND eventName IN ('GetParameter', 'GetParameters', 'GetParametersByPath',
                             'GetParameterHistory')
           AND (requestParameters->>'$.withDecryption') = 'true')
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT account, coalesce(requestParameters->>'$.secretId', requestParameters->>'$.name',
                         requestParameters->>'$.names', requestParameters->>'$.path',
                         requestParameters->>'$.secretIdList') AS secret,
    coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
             userIdentity.invokedBy, userIdentity.principalId) AS who,
    count(*) - count(errorCode) AS reads, count(errorCode) AS refused,
    count(DISTINCT sourceIPAddress) AS addresses,
    min(eventTime) AS firstTime, max(eventTime) AS lastTime
FROM calls
GROUP BY ALL
ORDER BY account, secret, reads DESC, who;
