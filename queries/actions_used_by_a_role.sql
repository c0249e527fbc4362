-- Which actions does a role really use, how often, and when last?
--
-- The start of a policy of least privilege: what is not here was not used in the days that the view
-- shows. An action of IAM mostly has the name of the event, but not always (s3:ListBucket allows
-- ListObjects), and reading data leaves no events unless the trail records data events. denied
-- counts calls without the right to it: what the role has tried, and perhaps needs.
--
-- Parameters:
--   role  arn:aws:iam::012345678901:role/reader: its ARN or its name (default all roles)
-- Source: IAM User Guide, "IAM Access Analyzer policy generation".
WITH calls AS (
    SELECT *, userIdentity.sessionContext.sessionIssuer.arn AS role,
        coalesce(
            regexp_matches(errorCode, 'denied|unauthori[sz]ed|notauthori[sz]ed|forbidden', 'i'),
            false) AS denied
    FROM cloudtrail
    WHERE userIdentity.sessionContext.sessionIssuer.type = 'Role'
      AND coalesce(getvariable('role') IN (userIdentity.sessionContext.sessionIssuer.arn,
                                           userIdentity.sessionContext.sessionIssuer.userName),
                   true)
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT account, role, eventSource, eventName,
    split_part(eventSource, '.', 1) || ':' || eventName AS action,
    count(*) AS calls, count(*) FILTER (denied) AS denied, min(readOnly) AS readOnly,
    list(DISTINCT awsRegion ORDER BY awsRegion) AS regions,
    min(eventTime) AS firstTime, max(eventTime) AS lastTime
FROM calls
GROUP BY account, role, eventSource, eventName
ORDER BY account, role, eventSource, eventName;
