-- unused_access_keys_and_roles, for Athena.
--
-- Those deleted meanwhile are left out, and made again under the same name is made again. A role is
-- used when somebody assumes it or calls with it; its name is unique in its account. Keys and roles
-- that the days read do not show at all are not here either: IAM's credential report lists those.
-- Calls that leave no events, as reading data may, are no use that this could see. The days are
-- read four times.
--
-- Parameters:
--   since  DATE '2026-01-11': the first day, in UTC, of the period without use
WITH facts AS (
    SELECT 'access key' AS kind, useridentity.accountid AS account,
        useridentity.accesskeyid AS name, useridentity.arn AS arn, 'used' AS what,
        max(eventtime) AS time, max(date) AS date
    FROM cloudtrail
    WHERE useridentity.accesskeyid LIKE 'AKIA%'
    GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT 'role', useridentity.sessioncontext.sessionissuer.accountid,
        useridentity.sessioncontext.sessionissuer.username,
        useridentity.sessioncontext.sessionissuer.arn, 'used', max(eventtime), max(date)
    FROM cloudtrail
    WHERE useridentity.sessioncontext.sessionissuer.type = 'Role'
    GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT 'role', split_part(rolearn, ':', 5), regexp_extract(rolearn, '[^/]+$'), rolearn, 'used',
        max(eventtime), max(date)
    FROM (
        SELECT eventtime, date, json_extract_scalar(requestparameters, '$.roleArn') AS rolearn
        FROM cloudtrail
        WHERE eventsource = 'sts.amazonaws.com' AND errorcode IS NULL
          AND eventname IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity')
    )
    GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT if(eventname LIKE '%Role', 'role', 'access key'), account,
        coalesce(json_extract_scalar(responseelements, '$.accessKey.accessKeyId'),
                 json_extract_scalar(requestparameters, '$.accessKeyId'),
                 json_extract_scalar(requestparameters, '$.roleName')),
        coalesce(json_extract_scalar(responseelements, '$.role.arn'),
                 json_extract_scalar(responseelements, '$.accessKey.userName')),
        if(eventname LIKE 'Create%', 'made', 'deleted'), eventtime, date
    FROM cloudtrail
    WHERE eventsource = 'iam.amazonaws.com' AND errorcode IS NULL
      AND eventname IN ('CreateAccessKey', 'DeleteAccessKey', 'CreateRole', 'DeleteRole')
)
SELECT kind, account, name, min(arn) AS arn, max(time) FILTER (WHERE what = 'made') AS madetime,
    max(time) FILTER (WHERE what = 'used') AS lasttime
FROM facts
WHERE name IS NOT NULL
GROUP BY kind, account, name
HAVING max(date) FILTER (WHERE what <> 'deleted') < CAST(? AS date)
   AND coalesce(max(time) FILTER (WHERE what = 'deleted')
                < max(time) FILTER (WHERE what <> 'deleted'), true)
ORDER BY kind, account, lasttime, name
