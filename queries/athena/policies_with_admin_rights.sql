-- policies_with_admin_rights, for Athena.
--
-- Found: AWS's own policies of that kind by name, and documents that allow Action * or all but a
-- NotAction, whatever the Resource. A customer's policy shows when it is written, not when it is
-- attached. A request over 100 KB reads {"omitted": true, ...}: padding a policy hides it, so those
-- are listed too.
WITH changes AS (
    SELECT *, json_extract_scalar(requestparameters, '$.policyArn') AS policyarn,
        TRY(json_parse(json_extract_scalar(requestparameters, '$.policyDocument'))) AS document
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM cloudtrail
        WHERE eventsource = 'iam.amazonaws.com' AND errorcode IS NULL
          AND eventname IN ('AttachUserPolicy', 'AttachGroupPolicy', 'AttachRolePolicy',
                            'PutUserPolicy', 'PutGroupPolicy', 'PutRolePolicy',
                            'CreatePolicy', 'CreatePolicyVersion')
    )
    WHERE (copy = 1 OR eventid IS NULL)
), judged AS (
    SELECT *, CASE
        WHEN json_extract(requestparameters, '$.omitted') IS NOT NULL THEN 'omitted'
        WHEN regexp_like(policyarn, ':aws:policy/(AdministratorAccess|IAMFullAccess)$')
            THEN policyarn
        -- a policy may have one statement or a list of them; so may Action
        WHEN cardinality(filter(
            coalesce(TRY(CAST(json_extract(document, '$.Statement') AS ARRAY(JSON))),
                     ARRAY[json_extract(document, '$.Statement')]),
            s -> json_extract_scalar(s, '$.Effect') = 'Allow' AND (
                json_extract(s, '$.NotAction') IS NOT NULL
                OR json_extract_scalar(s, '$.Action') IN ('*', '*:*')
                OR json_array_contains(json_extract(s, '$.Action'), '*')
                OR json_array_contains(json_extract(s, '$.Action'), '*:*')))) > 0
            THEN json_format(document)
        END AS allowed
    FROM changes
)
SELECT eventtime, account, eventname,
    coalesce(json_extract_scalar(requestparameters, '$.userName'),
             json_extract_scalar(requestparameters, '$.groupName'),
             json_extract_scalar(requestparameters, '$.roleName'),
             json_extract_scalar(requestparameters, '$.policyName'), policyarn) AS target,
    allowed, useridentity.arn AS who, sourceipaddress, eventid
FROM judged
WHERE allowed IS NOT NULL
ORDER BY eventtime, account, eventid
