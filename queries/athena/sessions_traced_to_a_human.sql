-- sessions_traced_to_a_human, for Athena.
--
-- A session is what a call to STS gave out. It is followed back, from access key to access key, to
-- the first caller whose key no call in the view gave out. kind says what that is: IAMUser or Root,
-- SAMLUser and WebIdentityUser (human is their name at the provider), IdentityCenterUser (a user
-- id); with AWSService it is not a human, with AssumedRole the call that began it is missing, with
-- AWSAccount it is in another account's log. A source identity decides over all of these. account
-- is the session's. Chains of up to three roles are found, in as many passes over the same days.
--
-- Parameters:
--   session  '%': a pattern for the access key or the ARN of a session
WITH calls AS (
    SELECT eventtime, eventid, account AS recorded, region, awsregion, sourceipaddress,
        useridentity.accesskeyid AS accesskey, useridentity.arn AS arn, useridentity.type AS type,
        coalesce(json_extract_scalar(requestparameters, '$.sourceIdentity'),
                 useridentity.sessioncontext.sourceidentity) AS sourceidentity,
        coalesce(CASE WHEN useridentity.type IN ('SAMLUser', 'WebIdentityUser')
                     THEN useridentity.username END,
                 useridentity.onbehalfof.userid, useridentity.arn, useridentity.invokedby,
                 useridentity.principalid) AS caller,
        coalesce(json_extract_scalar(requestparameters, '$.roleArn'),
                 json_extract_scalar(requestparameters, '$.name'), eventname) AS role,
        coalesce(json_extract_scalar(responseelements, '$.assumedRoleUser.arn'),
                 json_extract_scalar(responseelements, '$.federatedUser.arn'),
                 useridentity.arn) AS session,
        json_extract_scalar(responseelements, '$.credentials.accessKeyId') AS newaccesskey,
        coalesce(sharedeventid, account || eventid) AS action
    FROM cloudtrail
    WHERE eventsource = 'sts.amazonaws.com' AND errorcode IS NULL
      AND eventname IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity',
                        'AssumeRoot', 'GetFederationToken', 'GetSessionToken')
), hops AS (
    SELECT *
    FROM (
        SELECT *, row_number() OVER (
            PARTITION BY action
            ORDER BY arn NULLS LAST, eventid, region <> awsregion, region) AS copy
        FROM calls
    )
    WHERE copy = 1 OR action IS NULL
), beginnings AS (
    SELECT *, type AS kind, caller AS origin, sourceipaddress AS firstaddress,
        ARRAY[role] AS roles, sourceidentity AS identity
    FROM hops
    WHERE accesskey IS NULL
       OR accesskey NOT IN (SELECT newaccesskey FROM hops WHERE newaccesskey IS NOT NULL)
), seconds AS (
    SELECT hops.*, earlier.kind, earlier.origin, earlier.firstaddress,
        earlier.roles || ARRAY[hops.role] AS roles,
        coalesce(hops.sourceidentity, earlier.identity) AS identity
    FROM beginnings AS earlier JOIN hops ON hops.accesskey = earlier.newaccesskey
    WHERE hops.eventtime >= earlier.eventtime
), thirds AS (
    SELECT hops.*, earlier.kind, earlier.origin, earlier.firstaddress,
        earlier.roles || ARRAY[hops.role] AS roles,
        coalesce(hops.sourceidentity, earlier.identity) AS identity
    FROM seconds AS earlier JOIN hops ON hops.accesskey = earlier.newaccesskey
    WHERE hops.eventtime >= earlier.eventtime
), chains AS (
    SELECT * FROM beginnings UNION ALL SELECT * FROM seconds UNION ALL SELECT * FROM thirds
), wanted AS (
    SELECT CAST(? AS varchar) AS pattern
)
SELECT eventtime, coalesce(nullif(split_part(session, ':', 5), ''), recorded) AS account,
    session, newaccesskey, coalesce(identity, origin) AS human, kind, roles, firstaddress, eventid
FROM chains CROSS JOIN wanted
WHERE newaccesskey LIKE pattern OR session LIKE pattern
ORDER BY eventtime, account, session, newaccesskey, eventid
