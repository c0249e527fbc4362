-- Who is behind each session, however many roles there are in between?
--
-- A session is what a call to STS gave out. It is followed back, from access key to access key, to
-- the first caller whose key no call in the view gave out. kind says what that is: IAMUser or Root,
-- SAMLUser and WebIdentityUser (human is their name at the provider), IdentityCenterUser (a user
-- id); with AWSService it is not a human, with AssumedRole the call that began it is missing, with
-- AWSAccount it is in another account's log. A source identity decides over all of these, since it
-- cannot be changed on the way. Of the copies of a cross-account call, which share a sharedEventID,
-- the one that names the caller is taken. account is the session's. roles has the first one first.
--
-- Parameters:
--   session  ASIAIOSFODNN7EXAMPLE: the access key or the ARN of one session (default all)
-- Source: IAM User Guide, "Monitor and control actions taken with assumed roles".
WITH RECURSIVE hops AS (
    SELECT eventTime, eventID, account AS recorded, eventName, sourceIPAddress,
        userIdentity.accessKeyId AS accessKey,
        userIdentity.type AS type, userIdentity.identityProvider AS provider,
        coalesce(requestParameters->>'$.sourceIdentity',
                 userIdentity.sessionContext.sourceIdentity) AS sourceIdentity,
        CASE WHEN userIdentity.type IN ('SAMLUser', 'WebIdentityUser') THEN userIdentity.userName
            END AS federated,
        coalesce(federated, userIdentity.onBehalfOf.userId, userIdentity.arn,
                 userIdentity.invokedBy, userIdentity.principalId) AS caller,
        coalesce(requestParameters->>'$.roleArn', requestParameters->>'$.name', eventName) AS role,
        coalesce(responseElements->>'$.assumedRoleUser.arn',
                 responseElements->>'$.federatedUser.arn', userIdentity.arn) AS session,
        responseElements->>'$.credentials.accessKeyId' AS newAccessKey,
        coalesce(sharedEventID, account || eventID) AS action
    FROM cloudtrail
    WHERE eventSource = 'sts.amazonaws.com' AND errorCode IS NULL
      AND eventName IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity',
                        'AssumeRoot', 'GetFederationToken', 'GetSessionToken')
    QUALIFY action IS NULL OR 1 = row_number() OVER (
        PARTITION BY action
        ORDER BY userIdentity.arn NULLS LAST, eventID, region <> awsRegion, region)
), chains AS (
    SELECT *, type AS kind, caller AS origin, sourceIPAddress AS firstAddress, [role] AS roles,
        sourceIdentity AS identity
    FROM hops
    WHERE accessKey IS NULL
       OR accessKey NOT IN (SELECT newAccessKey FROM hops WHERE newAccessKey IS NOT NULL)
    UNION ALL
    SELECT hops.*, chains.kind, chains.origin, chains.firstAddress,
        list_append(chains.roles, hops.role), coalesce(hops.sourceIdentity, chains.identity)
    FROM chains JOIN hops ON hops.accessKey = chains.newAccessKey
    WHERE hops.eventTime >= chains.eventTime AND len(chains.roles) < 10
)
SELECT eventTime, coalesce(nullif(split_part(session, ':', 5), ''), recorded) AS account,
    session, newAccessKey, coalesce(identity, origin) AS human, kind, roles,
    firstAddress, eventID
FROM chains
WHERE coalesce(getvariable('session') IN (newAccessKey, session), true)
ORDER BY ALL;
