-- console_logins_by_factor, for Athena.
--
-- A passkey and a security key are both FIDO credentials: their MFAIdentifier has u2f in it. What a
-- federated sign-in was proved by, only the identity provider knows. Users of IAM Identity Center
-- sign in at its portal (UserAuthentication), whose record says with what, and their way to the
-- console then counts once more, as a federated one. Null is "not said".
WITH logins AS (
    SELECT *,
        coalesce(json_extract_scalar(responseelements, '$.ConsoleLogin'),
                 json_extract_scalar(serviceeventdetails, '$.UserAuthentication')) AS outcome,
        json_extract_scalar(additionaleventdata, '$.MFAUsed') AS mfaused,
        json_extract_scalar(additionaleventdata, '$.MFAIdentifier') AS device,
        json_extract_scalar(additionaleventdata, '$.CredentialType') AS credential
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM cloudtrail
        WHERE (eventname = 'ConsoleLogin')
           OR (eventname = 'UserAuthentication'
               AND eventsource IN ('signin.amazonaws.com', 'sso.amazonaws.com'))
    )
    WHERE (copy = 1 OR eventid IS NULL)
)
SELECT account, useridentity.type AS kind,
    coalesce(useridentity.arn, useridentity.username, useridentity.onbehalfof.userid,
             useridentity.principalid) AS who,
    CASE WHEN eventname = 'UserAuthentication'
            THEN 'Identity Center: ' || coalesce(credential, 'not said')
        WHEN mfaused = 'Yes' AND device LIKE '%:u2f/%' THEN 'passkey or security key'
        WHEN mfaused = 'Yes' THEN 'code'
        WHEN useridentity.type NOT IN ('IAMUser', 'Root') THEN 'federated'
        WHEN mfaused = 'No' THEN 'password alone' END AS factor,
    count_if(outcome = 'Success') AS signins, count_if(outcome = 'Failure') AS failed,
    min(eventtime) AS firsttime, max(eventtime) AS lasttime
FROM logins
GROUP BY 1, 2, 3, 4
ORDER BY account, kind, who, factor
