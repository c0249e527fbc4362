"""What lies in the dataset: parts, written and read again."""
