-- Which access keys were made, for whom and by whom?
--
-- The request names no user when somebody makes a key for himself; the answer always does.
--
-- Source: MITRE ATT&CK T1098.001, Additional Cloud Credentials.
SELECT eventTime, account,
    responseElements->>'$.accessKey.userName' AS forUser,
    responseElements->>'$.accessKey.accessKeyId' AS newAccessKey,
    userIdentity.arn AS who, sourceIPAddress, eventID
FROM cloudtrail
WHERE eventSource = 'iam.amazonaws.com'
  AND eventName = 'CreateAccessKey'
  AND errorCode IS NULL
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
