"""Images by the digest of all that goes into them: found, built, or put into a registry."""
