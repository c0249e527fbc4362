-- actions_used_by_a_role, for Athena.
--
-- The start of a policy of least privilege: what is not here was not used in the days that are
-- read. An action of IAM mostly has the name of the event, but not always (s3:ListBucket allows
-- ListObjects), and reading data leaves no events unless the trail records data events. denied
-- counts calls without the right to it: what the role has tried, and perhaps needs.
--
-- Parameters:
--   role  '%': a pattern for the role's ARN
SELECT account, role, eventsource, eventname,
    split_part(eventsource, '.', 1) || ':' || eventname AS action,
    count(*) AS calls,
    count_if(coalesce(regexp_like(
        errorcode, '(?i)denied|unauthori[sz]ed|notauthori[sz]ed|forbidden'), false)) AS denied,
    min(readonly) AS readonly, array_agg(DISTINCT awsregion ORDER BY awsregion) AS regions,
    min(eventtime) AS firsttime, max(eventtime) AS lasttime
FROM (
    SELECT *, useridentity.sessioncontext.sessionissuer.arn AS role, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE useridentity.sessioncontext.sessionissuer.type = 'Role'
      AND useridentity.sessioncontext.sessionissuer.arn LIKE ?
)
WHERE (copy = 1 OR eventid IS NULL)
GROUP BY account, role, eventsource, eventname
ORDER BY account, role, eventsource, eventname
