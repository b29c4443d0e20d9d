"""The version of the package, from which the build takes it: asking the installed package's metadata takes longer."""

__version__ = "0.1.0"
