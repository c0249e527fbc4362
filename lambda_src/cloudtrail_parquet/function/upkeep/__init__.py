"""What the function does with parts that are there: rewriting, expiring."""
