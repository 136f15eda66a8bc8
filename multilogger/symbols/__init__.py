"""What is traded where, and under which names."""
