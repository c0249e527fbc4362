-- instances_launched_in_bursts, for Athena.
--
-- Where an answer is missing or was too long to be recorded, a launch counts as one instance.
-- Attempts that failed count as well: somebody who mines coins runs into limits first. Fleets and
-- auto scaling launch by RunInstances too; then invokedby names them.
--
-- Parameters:
--   least  10: instances and failed launches in an hour
WITH launches AS (
    SELECT account, awsregion, eventtime, errorcode, date_trunc('hour', eventtime) AS hour,
        coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn,
                 useridentity.principalid) AS who,
        useridentity.invokedby AS invokedby,
        json_extract_scalar(requestparameters, '$.instanceType') AS instancetype,
        if(errorcode IS NULL, coalesce(json_array_length(
            json_extract(responseelements, '$.instancesSet.items')), 1), 0) AS launched
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM cloudtrail
        WHERE eventsource = 'ec2.amazonaws.com' AND eventname = 'RunInstances'
    )
    WHERE (copy = 1 OR eventid IS NULL)
)
SELECT account, hour, who, invokedby, CAST(sum(launched) AS bigint) AS instances,
    count(errorcode) AS failed, array_agg(DISTINCT instancetype ORDER BY instancetype) AS types,
    array_agg(DISTINCT awsregion ORDER BY awsregion) AS regions,
    min(eventtime) AS firsttime, max(eventtime) AS lasttime
FROM launches
GROUP BY account, hour, who, invokedby
HAVING sum(launched) + count(errorcode) >= CAST(? AS bigint)
ORDER BY instances DESC, account, hour, who, invokedby
