"""Sources as people have them: what does not lie as CloudTrail delivers it, made to look so."""
