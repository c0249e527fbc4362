-- secrets_read, for Athena.
--
-- A secret is named as it was asked for: by name or by ARN. Parameters count when the call asked
-- for their decrypted value, which it may do for plain ones too.
SELECT account, coalesce(json_extract_scalar(requestparameters, '$.secretId'),
                         json_extract_scalar(requestparameters, '$.name'),
                         json_format(json_extract(requestparameters, '$.names')),
                         json_extract_scalar(requestparameters, '$.path'),
                         json_format(json_extract(requestparameters, '$.secretIdList'))) AS secret,
    coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn,
             useridentity.invokedby, useridentity.principalid) AS who,
    count(*) - count(errorcode) AS reads, count(errorcode) AS refused,
    count(DISTINCT sourceipaddress) AS addresses,
    min(eventtime) AS firsttime, max(eventtime) AS lasttime
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE ((eventsource = 'secretsmanager.amazonaws.com'
        AND eventname IN ('GetSecretValue', 'BatchGetSecretValue'))
       OR (eventsource = 'ssm.amazonaws.com'
           AND eventname IN ('GetParameter', 'GetParameters', 'GetParametersByPath',
                             'GetParameterHistory')
           AND json_extract_scalar(requestparameters, '$.withDecryption') = 'true'))
)
WHERE (copy = 1 OR eventid IS NULL)
GROUP BY 1, 2, 3
ORDER BY account, secret, reads DESC, who
