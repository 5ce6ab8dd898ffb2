"""The conformance kit: what softaxis promises, as checks for any backend."""
