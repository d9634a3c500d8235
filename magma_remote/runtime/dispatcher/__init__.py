"""What the dispatcher says and hears: its steps, and their parts; and what people do to its campaign."""
