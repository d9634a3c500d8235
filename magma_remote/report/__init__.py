"""A campaign's results as one page and its data. Needs the extra `report`; nothing else of ours imports it."""
