"""A campaign's results as one page and its data. Only the command `report` imports it, and needs the extra `report`."""
