"""The rule language by itself: what passes, what fails and with which words, and that nothing else can happen."""
