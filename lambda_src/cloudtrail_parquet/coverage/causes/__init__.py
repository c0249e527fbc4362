"""Why the dataset has nothing of a place's day."""
