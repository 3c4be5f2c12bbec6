"""Random valid models through the default recipe: none may come out wrong, none may be refused, none may change its
interface. docs/regression-suite.md tells how they are made."""
