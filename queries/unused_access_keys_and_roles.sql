-- Which access keys and roles were made or used before a day, and not since?
--
-- Those deleted meanwhile are left out, and made again under the same name is made again. A role is
-- used when somebody assumes it or calls with it; its name is unique in its account. Keys and roles
-- that the view does not show at all are not here either: IAM's credential report lists those.
-- Calls that leave no events, as reading data may, are no use that this could see.
--
-- Parameters:
--   since  2026-01-11: the first day, in UTC, of the period without use (default 90 days ago)
-- Source: CIS AWS Foundations Benchmark, "Identity and Access Management": unused credentials.
WITH facts AS (
    SELECT 'access key' AS kind, userIdentity.accountId AS account,
        userIdentity.accessKeyId AS name, userIdentity.arn AS arn, 'used' AS what,
        max(eventTime) AS time, max(make_date(year, month, day)) AS date
    FROM cloudtrail
    WHERE userIdentity.accessKeyId LIKE 'AKIA%'
    GROUP BY ALL
    UNION ALL
    SELECT 'role', userIdentity.sessionContext.sessionIssuer.accountId,
        userIdentity.sessionContext.sessionIssuer.userName,
        userIdentity.sessionContext.sessionIssuer.arn, 'used',
        max(eventTime), max(make_date(year, month, day))
    FROM cloudtrail
    WHERE userIdentity.sessionContext.sessionIssuer.type = 'Role'
    GROUP BY ALL
    UNION ALL
    SELECT 'role', split_part(requestParameters->>'$.roleArn', ':', 5),
        regexp_extract(requestParameters->>'$.roleArn', '[^/]+$'),
        requestParameters->>'$.roleArn', 'used', max(eventTime), max(make_date(year, month, day))
    FROM cloudtrail
    WHERE eventSource = 'sts.amazonaws.com' AND errorCode IS NULL
      AND eventName IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity')
    GROUP BY ALL
    UNION ALL
    SELECT if(eventName LIKE '%Role', 'role', 'access key'), account,
        coalesce(responseElements->>'$.accessKey.accessKeyId',
                 requestParameters->>'$.accessKeyId', requestParameters->>'$.roleName'),
        coalesce(responseElements->>'$.role.arn', responseElements->>'$.accessKey.userName'),
        if(eventName LIKE 'Create%', 'made', 'deleted'), eventTime, make_date(year, month, day)
    FROM cloudtrail
    WHERE eventSource = 'iam.amazonaws.com' AND errorCode IS NULL
      AND eventName IN ('CreateAccessKey', 'DeleteAccessKey', 'CreateRole', 'DeleteRole')
)
SELECT kind, account, name, min(arn) AS arn, max(time) FILTER (what = 'made') AS madeTime,
    max(time) FILTER (what = 'used') AS lastTime
FROM facts
WHERE name IS NOT NULL
GROUP BY kind, account, name
HAVING max(date) FILTER (what <> 'deleted')
       < coalesce(getvariable('since')::DATE, current_date - 90)
   AND coalesce(max(time) FILTER (what = 'deleted') < max(time) FILTER (what <> 'deleted'), true)
ORDER BY kind, account, lastTime, name;
