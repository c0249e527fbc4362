"""Which units are to be converted, how large they are, and what that costs."""
