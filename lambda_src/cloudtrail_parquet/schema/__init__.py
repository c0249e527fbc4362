"""The columns of the dataset."""
