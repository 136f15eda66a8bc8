"""From accepted batch to durable column file: journal, columns, checkpoint, recovery."""
