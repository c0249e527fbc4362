-- Who ran commands on instances, or opened a way onto them?
--
-- By Systems Manager (commands, sessions), EC2 Instance Connect and serial console (keys that are
-- pushed), the Windows password, or user data, which runs at the next start. What was run is mostly
-- hidden from CloudTrail. Attempts that failed are listed too, with their errorCode.
--
-- Source: MITRE ATT&CK T1651, Cloud Administration Command.
SELECT eventTime, account, awsRegion, eventSource, eventName,
    coalesce(requestParameters->>'$.instanceIds', requestParameters->>'$.instanceId',
             requestParameters->>'$.target', requestParameters->>'$.targets',
             requestParameters->>'$.instanceConnectEndpointId') AS target,
    requestParameters->>'$.documentName' AS document, errorCode,
    coalesce(userIdentity.arn, userIdentity.invokedBy, userIdentity.principalId) AS who,
    sourceIPAddress, eventID
FROM cloudtrail
WHERE (eventSource = 'ssm.amazonaws.com'
       AND eventName IN ('SendCommand', 'StartSession', 'ResumeSession', 'CreateAssociation',
                         'StartAutomationExecution'))
   OR (eventSource = 'ec2-instance-connect.amazonaws.com'
       AND eventName IN ('SendSSHPublicKey', 'SendSerialConsoleSSHPublicKey', 'OpenTunnel'))
   OR (eventSource = 'ec2.amazonaws.com'
       AND (eventName IN ('GetPasswordData', 'EnableSerialConsoleAccess')
            OR (eventName = 'ModifyInstanceAttribute'
                AND (requestParameters->'$.userData') IS NOT NULL)))
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
