-- security_services_disabled, for Athena.
--
-- Attempts that failed are listed too, with their errorcode. UpdateDetector counts only where it
-- switches GuardDuty off. Trails have a query of their own, trail_tampering; so do keys,
-- kms_keys_disabled_or_deleted. Closing one thing for another is usual: read requestparameters.
SELECT eventtime, account, awsregion, eventsource, eventname,
    coalesce(json_extract_scalar(requestparameters, '$.detectorId'),
             json_extract_scalar(requestparameters, '$.configurationRecorderName'),
             json_extract_scalar(requestparameters, '$.name'),
             json_extract_scalar(requestparameters, '$.rule'),
             json_extract_scalar(requestparameters, '$.logGroupName'),
             json_format(json_extract(requestparameters, '$.alarmNames')),
             json_extract_scalar(requestparameters, '$.configRuleName'),
             json_extract_scalar(requestparameters, '$.analyzerName'),
             json_extract_scalar(requestparameters, '$.resourceArn'),
             json_extract_scalar(requestparameters, '$.policyId')) AS target,
    errorcode, useridentity.arn AS who, sourceipaddress, requestparameters, eventid
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE split_part(eventsource, '.', 1) || ':' || eventname IN (
              'guardduty:DeleteDetector', 'guardduty:UpdateDetector',
              'guardduty:StopMonitoringMembers', 'guardduty:DeleteMembers',
              'guardduty:DisassociateMembers', 'guardduty:DisassociateFromAdministratorAccount',
              'guardduty:DisassociateFromMasterAccount', 'guardduty:DeletePublishingDestination',
              'config:StopConfigurationRecorder', 'config:DeleteConfigurationRecorder',
              'config:DeleteDeliveryChannel', 'config:DeleteConfigRule',
              'securityhub:DisableSecurityHub', 'securityhub:BatchDisableStandards',
              'securityhub:DisableImportFindingsForProduct', 'macie2:DisableMacie',
              'inspector2:Disable', 'access-analyzer:DeleteAnalyzer', 'detective:DeleteGraph',
              'ec2:DeleteFlowLogs', 'ec2:DisableEbsEncryptionByDefault', 'wafv2:DeleteWebACL',
              'wafv2:DisassociateWebACL', 'wafv2:DeleteLoggingConfiguration', 'events:DisableRule',
              'events:DeleteRule', 'events:RemoveTargets', 'monitoring:DeleteAlarms',
              'monitoring:DisableAlarmActions', 'logs:DeleteLogGroup', 'logs:DeleteLogStream',
              'logs:DeleteSubscriptionFilter', 'route53resolver:DeleteResolverQueryLogConfig',
              'route53resolver:DisassociateResolverQueryLogConfig',
              'organizations:LeaveOrganization', 'organizations:DisablePolicyType',
              'organizations:DetachPolicy', 'organizations:DisableAWSServiceAccess')
      AND (eventname <> 'UpdateDetector'
           OR json_extract_scalar(requestparameters, '$.enable') = 'false')
)
WHERE (copy = 1 OR eventid IS NULL)
ORDER BY eventtime, account, eventid
