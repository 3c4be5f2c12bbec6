"""Rules against graphs: one text file a rule, found by itself."""
