"""Permissions: statements, the roles that hold them, and what other accounts have to grant."""
