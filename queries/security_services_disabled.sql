-- Which services that watch over the account were switched off, or made to see less?
--
-- Attempts that failed are listed too, with their errorCode. UpdateDetector counts only where it
-- switches GuardDuty off. Trails have a query of their own, trail_tampering; so do keys,
-- kms_keys_disabled_or_deleted. Closing one thing for another is usual: read requestParameters.
--
-- Source: MITRE ATT&CK T1562.001, Disable or Modify Tools.
SELECT eventTime, account, awsRegion, eventSource, eventName,
    coalesce(requestParameters->>'$.detectorId', requestParameters->>'$.configurationRecorderName',
             requestParameters->>'$.name', requestParameters->>'$.rule',
             requestParameters->>'$.logGroupName', requestParameters->>'$.alarmNames',
             requestParameters->>'$.configRuleName', requestParameters->>'$.analyzerName',
             requestParameters->>'$.resourceArn', requestParameters->>'$.policyId') AS target,
    errorCode, userIdentity.arn AS who, sourceIPAddress, requestParameters, eventID
FROM cloudtrail
WHERE split_part(eventSource, '.', 1) || ':' || eventName IN (
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
  AND (eventName <> 'UpdateDetector' OR (requestParameters->>'$.enable') = 'false')
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
