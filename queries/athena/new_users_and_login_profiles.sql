-- new_users_and_login_profiles, for Athena.
--
-- UpdateLoginProfile sets another's password: a way to take over a user that exists.
SELECT eventtime, account, eventname,
    json_extract_scalar(requestparameters, '$.userName') AS username,
    json_extract_scalar(requestparameters, '$.passwordResetRequired') AS passwordresetrequired,
    useridentity.arn AS who, sourceipaddress, eventid
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE eventsource = 'iam.amazonaws.com'
      AND eventname IN ('CreateUser', 'CreateLoginProfile', 'UpdateLoginProfile')
      AND errorcode IS NULL
)
WHERE (copy = 1 OR eventid IS NULL)
ORDER BY eventtime, account, eventid
