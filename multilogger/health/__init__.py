"""What is true of the data right now: /health, /metrics and the page that shows both."""
