-- Who changed what in IAM, and in IAM Identity Center?
--
-- A time line of all calls that are not known to only read, failed ones with their errorCode. Old
-- records do not say whether a call only reads; then its name decides. Simulations, reports and
-- what services do by themselves are left out.
--
-- Parameters:
--   target  admin: name of a user, a role, a group or a policy (default all)
-- Source: CIS AWS Foundations Benchmark, "Monitoring": IAM policy changes.
WITH changes AS (
    SELECT *, list_filter([requestParameters->>'$.userName', requestParameters->>'$.roleName',
                           requestParameters->>'$.groupName', requestParameters->>'$.policyName',
                           regexp_extract(requestParameters->>'$.policyArn', '[^/]+$'),
                           requestParameters->>'$.instanceProfileName'],
                          lambda name: name <> '') AS names
    FROM cloudtrail
    WHERE eventSource IN ('iam.amazonaws.com', 'sso.amazonaws.com', 'identitystore.amazonaws.com',
                          'sso-directory.amazonaws.com')
      AND NOT coalesce(readOnly, regexp_matches(eventName, '^(Get|List|Describe)'))
      AND NOT regexp_matches(eventName, '^(Generate|Simulate)')
      AND eventType IS DISTINCT FROM 'AwsServiceEvent'
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT eventTime, account, eventSource, eventName, names, errorCode,
    coalesce(userIdentity.arn, userIdentity.invokedBy, userIdentity.principalId) AS who,
    sourceIPAddress, requestParameters, eventID
FROM changes
WHERE coalesce(list_contains(names, getvariable('target')), getvariable('target') IS NULL)
ORDER BY ALL;
