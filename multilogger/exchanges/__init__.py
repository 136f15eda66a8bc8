"""The exchanges: each a pure adapter that states only what is peculiar to it."""
