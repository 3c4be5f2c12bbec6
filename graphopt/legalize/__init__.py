"""What a target cannot take, rewritten until it can: the parts of legalization that rules cannot say."""
