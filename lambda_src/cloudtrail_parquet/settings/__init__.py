"""Every setting of a conversion: its default, what it may be, and how it is read."""
