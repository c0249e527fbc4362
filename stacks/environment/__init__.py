"""What one deployment is to be like: an environment file, read and checked."""
