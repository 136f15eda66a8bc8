"""The quality of the data: duplicates and gaps, judged a batch at a time."""
