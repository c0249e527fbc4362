-- iam_changes, for Athena.
--
-- A time line of all calls that are not known to only read, failed ones with their errorcode. Old
-- records do not say whether a call only reads; then its name decides. Simulations, reports and
-- what services do by themselves are left out.
--
-- Parameters:
--   target  '%': a pattern for names of users, roles, groups and policies, with spaces between them
WITH changes AS (
    SELECT *, filter(ARRAY[
        json_extract_scalar(requestparameters, '$.userName'),
        json_extract_scalar(requestparameters, '$.roleName'),
        json_extract_scalar(requestparameters, '$.groupName'),
        json_extract_scalar(requestparameters, '$.policyName'),
        regexp_extract(json_extract_scalar(requestparameters, '$.policyArn'), '[^/]+$'),
        json_extract_scalar(requestparameters, '$.instanceProfileName')],
        name -> name <> '') AS names
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM cloudtrail
        WHERE eventsource IN ('iam.amazonaws.com', 'sso.amazonaws.com',
                              'identitystore.amazonaws.com', 'sso-directory.amazonaws.com')
          AND NOT coalesce(readonly, regexp_like(eventname, '^(Get|List|Describe)'))
          AND NOT regexp_like(eventname, '^(Generate|Simulate)')
          AND eventtype IS DISTINCT FROM 'AwsServiceEvent'
    )
    WHERE (copy = 1 OR eventid IS NULL)
)
SELECT eventtime, account, eventsource, eventname, names, errorcode,
    coalesce(useridentity.arn, useridentity.invokedby, useridentity.principalid) AS who,
    sourceipaddress, requestparameters, eventid
FROM changes
WHERE array_join(names, ' ') LIKE ?
ORDER BY eventtime, account, eventid
