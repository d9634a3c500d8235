"""Sees to one image of a campaign."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.magma_cli import EXECUTABLE, SETTINGS, CommandError, ask, campaign_words, run_module

DOCUMENTATION = r"""
module: magma_image
short_description: Sees to one image of a campaign
description:
  - With O(state=built), on the dispatcher's host, an image is found by the digest of all that goes into it or built,
    once, and pushed to the registry there.
  - With O(state=pulled), on a worker, it is pulled from there by its digest.
  - Fails where it does not build, and names the build's log.
author:
  - The magma-remote authors
extends_documentation_fragment: [magma]
options:
  state:
    description: Whether the image is built and pushed, or pulled.
    type: str
    choices: [built, pulled]
    default: built
  fuzzer:
    description: The image's fuzzer. Required with O(state=built).
    type: str
  target:
    description: The image's target. Required with O(state=built).
    type: str
  file:
    description: The campaign file, if not that of the settings.
    type: path
  magma:
    description: The Magma tree to use instead of the file's C(MAGMA).
    type: path
  settings:
    description: The dispatcher's settings, which name the registry.
    type: path
    default: /etc/magma-remote/dispatcher.hjson
  reference:
    description:
      - The image by its digest, as O(state=built) returns it in RV(reference). Required with O(state=pulled).
    type: str
attributes:
  check_mode:
    description: Looks whether the image is there, and builds and pulls nothing.
    support: full
  diff_mode:
    description: Tells the reference before and after.
    support: full
  idempotent:
    description: An image that is there is neither built nor pulled again.
    support: full
"""

EXAMPLES = r"""
- name: The image is built
  magma_image:
    fuzzer: aflplusplus
    target: libpng
  register: image

- name: The image is on the worker
  magma_image:
    state: pulled
    reference: "{{ image.reference }}"
"""

RETURN = r"""
reference:
  description: The image by its digest; empty where check mode finds that it is to be built.
  returned: success
  type: str
  sample: 127.0.0.1:5000/magma/aflplusplus/libpng@sha256:0f3c…
log:
  description: Where the build's log is on this host; empty where there is none.
  returned: with O(state=built)
  type: str
"""

ARGUMENTS = {
    "state": {"type": "str", "choices": ["built", "pulled"], "default": "built"},
    "fuzzer": {"type": "str"},
    "target": {"type": "str"},
    "file": {"type": "path"},
    "magma": {"type": "path"},
    "reference": {"type": "str"},
    **SETTINGS,
    **EXECUTABLE,
}
REQUIRED = [("state", "built", ("fuzzer", "target")), ("state", "pulled", ("reference",))]
DOCKER = "/usr/bin/docker"
ANSWERS = (0, 1)  # 1: an image failed, and the answer says why


def work(module: Any) -> dict[str, Any]:
    """Build or pull."""
    return _built(module) if module.params["state"] == "built" else _pulled(module)


def _built(module: Any) -> dict[str, Any]:
    name = f"{module.params['fuzzer']}/{module.params['target']}"
    words = ["--json", "--settings", module.params["settings"], "--only", name]
    words += ["--check"] if module.check_mode else []
    images = ask(module, "images", *words, *campaign_words(module.params), accepted=ANSWERS)["images"]
    if len(images) != 1:
        raise CommandError(f"the campaign has {len(images)} images of {name}: name a fuzzer and a target of its own")
    image = images[0]
    if image["state"] == "failed":
        told = not image["log"] or image["log"] in image["message"]
        log = "" if told else f"; its log on this host: {image['log']}"
        raise CommandError(f"image {name}: {image['message']}{log}")
    changed = image["state"] != "present"
    reference = image["reference"] or ""
    diff = _diff("" if changed else reference, reference or f"{name} (to be built)")
    return {"changed": changed, "reference": reference, "log": image["log"] or "", "diff": diff}


def _pulled(module: Any) -> dict[str, Any]:
    reference = module.params["reference"]
    if "@sha256:" not in reference:
        raise CommandError(f"{reference!r} names no digest: give the reference that state=built returned")
    missing, _, _ = module.run_command([DOCKER, "image", "inspect", "--format", "{{.Id}}", reference])
    if missing and not module.check_mode:
        code, out, err = module.run_command([DOCKER, "pull", "--quiet", reference])
        if code:
            raise CommandError(f"{reference} was not pulled: {(err or out).strip()}")
    diff = _diff("" if missing else reference, reference)
    return {"changed": bool(missing), "reference": reference, "diff": diff}


def _diff(before: str, after: str) -> dict[str, str]:
    return {"before": f"{before}\n" if before else "", "after": f"{after}\n"}


def main() -> None:
    """Run as a module."""
    run_module(work, argument_spec=ARGUMENTS, required_if=REQUIRED)


if __name__ == "__main__":
    main()
