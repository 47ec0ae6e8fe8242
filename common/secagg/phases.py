"""The five phases of a secure sum, by the names they have in requests."""

KEYS = "keys"
SHARES = "shares"
VECTOR = "vector"
SURVIVORS = "survivors"
OPENING = "opening"

PHASES = (KEYS, SHARES, VECTOR, SURVIVORS, OPENING)
