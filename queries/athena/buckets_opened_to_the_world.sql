-- buckets_opened_to_the_world, for Athena.
--
-- Found: policies that allow something to the principal *, ACLs for AllUsers or any
-- AuthenticatedUsers of AWS, and an end of Block Public Access, of a bucket or of the account. A
-- policy may still have a condition, and Block Public Access may stand before it: how says why the
-- row is here. A request that reads {"omitted": true, ...} was too long and is listed too.
WITH changes AS (
    SELECT *, coalesce(
        TRY(CAST(json_extract(requestparameters, '$.bucketPolicy.Statement') AS ARRAY(JSON))),
        ARRAY[json_extract(requestparameters, '$.bucketPolicy.Statement')]) AS statements
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM cloudtrail
        WHERE eventsource = 's3.amazonaws.com' AND errorcode IS NULL
          AND eventname IN ('PutBucketPolicy', 'PutBucketAcl', 'PutObjectAcl', 'CreateBucket',
                            'PutBucketPublicAccessBlock', 'DeleteBucketPublicAccessBlock',
                            'PutAccountPublicAccessBlock', 'DeleteAccountPublicAccessBlock')
    )
    WHERE (copy = 1 OR eventid IS NULL)
), judged AS (
    SELECT *, CASE
        WHEN json_extract(requestparameters, '$.omitted') IS NOT NULL THEN 'omitted'
        WHEN eventname LIKE 'Delete%' THEN 'public access no longer blocked'
        WHEN eventname LIKE '%PublicAccessBlock' AND regexp_like(
            requestparameters, '"(Block|Ignore|Restrict)Public[A-Za-z]*" *: *["]{0,1}false')
            THEN 'public access no longer blocked'
        WHEN eventname = 'PutBucketPolicy' AND cardinality(filter(statements,
            s -> json_extract_scalar(s, '$.Effect') = 'Allow' AND (
                json_extract_scalar(s, '$.Principal') = '*'
                OR json_extract_scalar(s, '$.Principal.AWS') = '*'
                OR json_array_contains(json_extract(s, '$.Principal.AWS'), '*')))) > 0
            THEN 'policy'
        WHEN regexp_like(requestparameters, 'groups/global/(AllUsers|AuthenticatedUsers)')
            OR regexp_like(requestparameters, '"(public-read|authenticated-read)')
            THEN 'ACL'
        END AS how
    FROM changes
)
SELECT eventtime, account, awsregion, eventname, how,
    json_extract_scalar(requestparameters, '$.bucketName') AS bucket,
    json_extract_scalar(requestparameters, '$.key') AS key,
    useridentity.arn AS who, sourceipaddress, requestparameters, eventid
FROM judged
WHERE how IS NOT NULL
ORDER BY eventtime, account, eventid
