"""The nursery tree: who lives inside whom, and what happens when one dies."""
