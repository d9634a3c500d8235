"""Documentation of the action plugin plugins/action/magma_wait.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: magma_wait
short_description: Follows a campaign to its end
description:
  - Looks at the campaign on the dispatcher's host until it has ended, and prints a line whenever something happened,
    or ten minutes have passed.
  - Ctrl-C stops looking; the campaign goes on.
  - Fails where no dispatcher runs any more before the campaign's end, and says what to type.
  - Trials that are missing at the end are returned, and no failure of this module.
author:
  - The magma-remote authors
extends_documentation_fragment: [magma, magma.settings, magma.reads]
options:
  interval:
    description: Seconds between two looks, and at least between two lines.
    type: int
    default: 10
  patience:
    description:
      - Seconds for which the dispatcher may be away, or its host not answer, before this fails.
    type: int
    default: 120
attributes:
  check_mode:
    description: Waits for nothing in check mode, as nothing was started.
    support: full
"""

EXAMPLES = r"""
- name: The campaign has ended
  magma_wait:
    interval: 30
  register: ended

- name: All trials are complete
  ansible.builtin.assert:
    that: ended.counts.dead == 0
"""

RETURN = r"""
campaign:
  description: What C(magma_queue_info) returns, with all else that it returns, at the campaign's end.
  returned: success
  type: dict
"""
