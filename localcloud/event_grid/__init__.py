"""The Event Grid stand-in: a topic to publish to, subscriptions with their handshakes, delivery with its accidents."""
