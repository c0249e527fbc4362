"""The Lambda function: the events it accepts, hands on and tells of."""
