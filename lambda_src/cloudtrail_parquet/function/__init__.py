"""The Lambda function: the events it accepts, how it works on them, and what it reports."""
