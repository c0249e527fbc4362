"""What exists in the account: the Terraform of one environment, made with CDK for Terraform."""
