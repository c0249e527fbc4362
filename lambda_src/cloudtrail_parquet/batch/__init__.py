"""Converting the units of an invocation, or of a command: several at a time, days together."""
