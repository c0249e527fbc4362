"""Coverage: of each account, region and day, what the dataset has, and why where it has nothing."""
