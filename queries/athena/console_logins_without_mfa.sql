-- console_logins_without_mfa, for Athena.
--
-- mfaused is about AWS's own MFA: a federated sign-in says No even if the identity provider asked
-- for a second factor. Null is "not said", and is listed too.
SELECT eventtime, account, useridentity.type AS kind,
    coalesce(useridentity.arn, useridentity.username, useridentity.principalid) AS who,
    sourceipaddress, json_extract_scalar(additionaleventdata, '$.MFAUsed') AS mfaused,
    useragent, eventid
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE eventname = 'ConsoleLogin'
      AND json_extract_scalar(responseelements, '$.ConsoleLogin') = 'Success'
      AND json_extract_scalar(additionaleventdata, '$.MFAUsed') IS DISTINCT FROM 'Yes'
)
WHERE (copy = 1 OR eventid IS NULL)
ORDER BY eventtime, account, eventid
