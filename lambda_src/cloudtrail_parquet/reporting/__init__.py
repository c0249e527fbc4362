"""The report: one page about a dataset, which needs neither network nor script to be read."""
