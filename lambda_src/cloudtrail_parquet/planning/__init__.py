"""Planning: which units to convert, how large they are, and what that costs."""
