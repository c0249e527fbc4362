"""Builds the package that runs as the Lambda function: see docs/package.md."""
