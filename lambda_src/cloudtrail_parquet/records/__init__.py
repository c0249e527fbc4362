"""CloudTrail records: from JSON text to Arrow and back."""
