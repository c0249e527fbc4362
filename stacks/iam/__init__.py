"""Who may do what: statements, the roles that have them, and what other accounts have to allow."""
