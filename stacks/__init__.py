"""The infrastructure: the Terraform of each environment, made with CDK for Terraform."""
