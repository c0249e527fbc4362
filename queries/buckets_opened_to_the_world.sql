-- Which buckets were opened to everybody, or may be again?
--
-- Found: policies that allow something to the principal *, ACLs for AllUsers or any
-- AuthenticatedUsers of AWS, and an end of Block Public Access, of a bucket or of the account. A
-- policy may still have a condition, and Block Public Access may stand before it: how says why the
-- row is here. A request that reads {"omitted": true, ...} was too long and is listed too.
--
-- Source: CIS AWS Foundations Benchmark, "Monitoring": S3 bucket policy changes.
WITH changes AS (
    SELECT *, CASE json_type(requestParameters, '$.bucketPolicy.Statement')
            WHEN 'ARRAY' THEN requestParameters->'$.bucketPolicy.Statement[*]'
            ELSE [requestParameters->'$.bucketPolicy.Statement'] END AS statements
    FROM cloudtrail
    WHERE eventSource = 's3.amazonaws.com' AND errorCode IS NULL
      AND eventName IN ('PutBucketPolicy', 'PutBucketAcl', 'PutObjectAcl', 'CreateBucket',
                        'PutBucketPublicAccessBlock', 'DeleteBucketPublicAccessBlock',
                        'PutAccountPublicAccessBlock', 'DeleteAccountPublicAccessBlock')
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
), judged AS (
    SELECT *, CASE
        WHEN (requestParameters->'$.omitted') IS NOT NULL THEN 'omitted'
        WHEN eventName LIKE 'Delete%' THEN 'public access no longer blocked'
        WHEN eventName LIKE '%PublicAccessBlock' AND regexp_matches(
            requestParameters, '"(Block|Ignore|Restrict)Public[A-Za-z]*" *: *"?false')
            THEN 'public access no longer blocked'
        WHEN eventName = 'PutBucketPolicy' AND len(list_filter(statements,
            lambda s: (s->>'$.Effect') = 'Allow' AND (
                (s->>'$.Principal') = '*' OR (s->>'$.Principal.AWS') = '*'
                OR list_contains(s->>'$.Principal.AWS[*]', '*')))) > 0
            THEN 'policy'
        WHEN regexp_matches(requestParameters,
          'groups/global/(AllUsers|AuthenticatedUsers)|"(public-read|authenticated-read)')
            THEN 'ACL'
        END AS how
    FROM changes
)
SELECT eventTime, account, awsRegion, eventName, how,
    requestParameters->>'$.bucketName' AS bucket, requestParameters->>'$.key' AS key,
    userIdentity.arn AS who, sourceIPAddress, requestParameters, eventID
FROM judged
WHERE how IS NOT NULL
ORDER BY ALL;
