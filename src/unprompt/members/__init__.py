"""The members of the ensemble: each looks at pictures in its own way, and votes."""
