-- security_groups_opened_to_the_world, for Athena.
--
-- The text is searched, since calls and years differ in where the addresses are. A request that
-- reads {"omitted": true, ...} was too long to be recorded and is listed too.
SELECT eventtime, account, awsregion, eventname,
    coalesce(json_extract_scalar(requestparameters, '$.groupId'),
             json_extract_scalar(requestparameters, '$.groupName'),
             json_extract_scalar(requestparameters, '$.ModifySecurityGroupRulesRequest.GroupId'))
        AS securitygroup,
    json_format(json_extract(requestparameters, '$.ipPermissions.items')) AS permissions,
    useridentity.arn AS who, sourceipaddress, eventid
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE eventsource = 'ec2.amazonaws.com'
      AND eventname IN ('AuthorizeSecurityGroupIngress', 'ModifySecurityGroupRules')
      AND errorcode IS NULL
      AND (strpos(requestparameters, '"0.0.0.0/0"') > 0 OR strpos(requestparameters, '"::/0"') > 0
           OR json_extract(requestparameters, '$.omitted') IS NOT NULL)
)
WHERE (copy = 1 OR eventid IS NULL)
ORDER BY eventtime, account, eventid
