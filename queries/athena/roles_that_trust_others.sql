-- roles_that_trust_others, for Athena.
--
-- others are the account ids, ARNs and providers that the trust policy names, and * for everybody,
-- wherever in it, so also those in its conditions; the role's own account and AWS services do not
-- count. What a policy from before this time trusts is not seen here.
WITH calls AS (
    SELECT *, coalesce(json_extract_scalar(requestparameters, '$.policyDocument'),
                       json_extract_scalar(requestparameters, '$.assumeRolePolicyDocument'))
        AS document
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM cloudtrail
        WHERE eventsource = 'iam.amazonaws.com' AND errorcode IS NULL
          AND eventname IN ('CreateRole', 'UpdateAssumeRolePolicy')
    )
    WHERE (copy = 1 OR eventid IS NULL)
), changes AS (
    SELECT *, array_sort(array_distinct(filter(
        regexp_extract_all(
            document, '"(\*|[0-9]{12}|arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:[^"]*)"', 1),
        name -> strpos(name, account) = 0 OR strpos(name, '-provider/') > 0))) AS others
    FROM calls
)
SELECT eventtime, account, eventname, json_extract_scalar(requestparameters, '$.roleName')
        AS rolename, others, document, useridentity.arn AS who, sourceipaddress, eventid
FROM changes
WHERE cardinality(others) > 0
ORDER BY eventtime, account, eventid
