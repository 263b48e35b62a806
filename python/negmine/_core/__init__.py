"""What every room uses: arrays and options as the core takes them, files, memory maps, extras and digests."""
