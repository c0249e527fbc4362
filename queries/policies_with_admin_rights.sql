-- Which policies with administrator's rights were attached or written?
--
-- Found: AWS's own policies of that kind by name, and documents that allow Action * or all but a
-- NotAction, whatever the Resource. A customer's policy shows when it is written, not when it is
-- attached. A request over 100 KB reads {"omitted": true, ...}: padding a policy hides it, so those
-- are listed too.
--
-- Source: MITRE ATT&CK T1098.003, Additional Cloud Roles.
WITH changes AS (
    SELECT *, requestParameters->>'$.policyArn' AS policyArn,
        requestParameters->>'$.policyDocument' AS text,
        if(json_valid(text), text, NULL) AS document
    FROM cloudtrail
    WHERE eventSource = 'iam.amazonaws.com' AND errorCode IS NULL
      AND eventName IN ('AttachUserPolicy', 'AttachGroupPolicy', 'AttachRolePolicy',
                        'PutUserPolicy', 'PutGroupPolicy', 'PutRolePolicy',
                        'CreatePolicy', 'CreatePolicyVersion')
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
), judged AS (
    SELECT *, CASE
        WHEN (requestParameters->'$.omitted') IS NOT NULL THEN 'omitted'
        WHEN regexp_matches(policyArn, ':aws:policy/(AdministratorAccess|IAMFullAccess)$')
            THEN policyArn
        -- a policy may have one statement or a list of them; so may Action
        WHEN len(list_filter(
            CASE json_type(document, '$.Statement')
                WHEN 'ARRAY' THEN document->'$.Statement[*]'
                ELSE [document->'$.Statement'] END,
            lambda s: (s->>'$.Effect') = 'Allow' AND (
                (s->'$.NotAction') IS NOT NULL OR (s->>'$.Action') IN ('*', '*:*')
                OR list_has_any(s->>'$.Action[*]', ['*', '*:*'])))) > 0
            THEN document
        END AS allowed
    FROM changes
)
SELECT eventTime, account, eventName,
    coalesce(requestParameters->>'$.userName', requestParameters->>'$.groupName',
             requestParameters->>'$.roleName', requestParameters->>'$.policyName',
             policyArn) AS target,
    allowed, userIdentity.arn AS who, sourceIPAddress, eventID
FROM judged
WHERE allowed IS NOT NULL
ORDER BY ALL;
