"""What a compile did, for people and for programs."""
