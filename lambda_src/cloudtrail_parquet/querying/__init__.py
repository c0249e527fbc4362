"""Asking a dataset questions with DuckDB."""
