-- Which roles were made to trust other accounts, everybody, or identity providers?
--
-- others are the account ids, ARNs and providers that the trust policy names, and * for everybody,
-- wherever in it, so also those in its conditions; the role's own account and AWS services do not
-- count. What a policy from before this time trusts is not seen here.
--
-- Source: MITRE ATT&CK T1199, Trusted Relationship.
WITH changes AS (
    SELECT *, coalesce(requestParameters->>'$.policyDocument',
                       requestParameters->>'$.assumeRolePolicyDocument') AS document,
        list_sort(list_distinct(list_filter(
            regexp_extract_all(
                document, '"(\*|[0-9]{12}|arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:[^"]*)"', 1),
            lambda name: NOT contains(name, account) OR contains(name, '-provider/')))) AS others
    FROM cloudtrail
    WHERE eventSource = 'iam.amazonaws.com' AND errorCode IS NULL
      AND eventName IN ('CreateRole', 'UpdateAssumeRolePolicy')
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT eventTime, account, eventName, requestParameters->>'$.roleName' AS roleName, others,
    document, userIdentity.arn AS who, sourceIPAddress, eventID
FROM changes
WHERE len(others) > 0
ORDER BY ALL;
