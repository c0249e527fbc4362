"""Environment files, which describe one deployment each: fields, checks and reading."""
