"""The schema and the settings in the words of query engines and for people."""
