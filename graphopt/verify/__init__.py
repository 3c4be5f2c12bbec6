"""Rules proved by machine: instances, the engine under test, oracles, verdicts."""
