-- Which security groups were opened to all addresses?
--
-- The text is searched, since calls and years differ in where the addresses are. A request that
-- reads {"omitted": true, ...} was too long to be recorded and is listed too.
--
-- Source: CIS AWS Foundations Benchmark, "Monitoring": security group changes.
SELECT eventTime, account, awsRegion, eventName,
    coalesce(requestParameters->>'$.groupId', requestParameters->>'$.groupName',
             requestParameters->>'$.ModifySecurityGroupRulesRequest.GroupId') AS securityGroup,
    requestParameters->'$.ipPermissions.items' AS permissions,
    userIdentity.arn AS who, sourceIPAddress, eventID
FROM cloudtrail
WHERE eventSource = 'ec2.amazonaws.com'
  AND eventName IN ('AuthorizeSecurityGroupIngress', 'ModifySecurityGroupRules')
  AND errorCode IS NULL
  AND (contains(requestParameters, '"0.0.0.0/0"') OR contains(requestParameters, '"::/0"')
       OR (requestParameters->'$.omitted') IS NOT NULL)
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
