-- Which users were made, and which got a console password or a new one?
--
-- UpdateLoginProfile sets another's password: a way to take over a user that exists.
--
-- Source: MITRE ATT&CK T1136.003, Create Account: Cloud Account.
SELECT eventTime, account, eventName, requestParameters->>'$.userName' AS userName,
    requestParameters->>'$.passwordResetRequired' AS passwordResetRequired,
    userIdentity.arn AS who, sourceIPAddress, eventID
FROM cloudtrail
WHERE eventSource = 'iam.amazonaws.com'
  AND eventName IN ('CreateUser', 'CreateLoginProfile', 'UpdateLoginProfile')
  AND errorCode IS NULL
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
