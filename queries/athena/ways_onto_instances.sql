-- ways_onto_instances, for Athena.
--
-- By Systems Manager (commands, sessions), EC2 Instance Connect and serial console (keys that are
-- pushed), the Windows password, or user data, which runs at the next start. What was run is mostly
-- hidden from CloudTrail. Attempts that failed are listed too, with their errorcode.
SELECT eventtime, account, awsregion, eventsource, eventname,
    coalesce(json_format(json_extract(requestparameters, '$.instanceIds')),
             json_extract_scalar(requestparameters, '$.instanceId'),
             json_extract_scalar(requestparameters, '$.target'),
             json_format(json_extract(requestparameters, '$.targets')),
             json_extract_scalar(requestparameters, '$.instanceConnectEndpointId')) AS target,
    json_extract_scalar(requestparameters, '$.documentName') AS document, errorcode,
    coalesce(useridentity.arn, useridentity.invokedby, useridentity.principalid) AS who,
    sourceipaddress, eventid
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE (eventsource = 'ssm.amazonaws.com'
           AND eventname IN ('SendCommand', 'StartSession', 'ResumeSession', 'CreateAssociation',
                             'StartAutomationExecution'))
       OR (eventsource = 'ec2-instance-connect.amazonaws.com'
           AND eventname IN ('SendSSHPublicKey', 'SendSerialConsoleSSHPublicKey', 'OpenTunnel'))
       OR (eventsource = 'ec2.amazonaws.com'
           AND (eventname IN ('GetPasswordData', 'EnableSerialConsoleAccess')
                OR (eventname = 'ModifyInstanceAttribute'
                    AND json_extract(requestparameters, '$.userData') IS NOT NULL)))
)
WHERE (copy = 1 OR eventid IS NULL)
ORDER BY eventtime, account, eventid
