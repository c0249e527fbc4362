"""A deployment as plain Terraform, for a team that has no other tools."""
