"""Commands about evidence: the digest files of CloudTrail, and cases made of them."""
