"""From the text of a log file, whatever its shape, to the texts of its records."""
