"""Load every YAML block of the pages: what a reader copies is valid."""

import re
import textwrap
from pathlib import Path

import pytest

from reconciler.load import load
from reconciler.model.problem import SpecInvalid
from tests.docs.pages import PAGES, Block, blocks

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"  # the beginning that every such key has; the rest is 43 characters

# What the pages speak of without declaring it again in each block.
_COMPANIONS = {
    ("Fleet", "lab"): "spec: {secrets: {db-password: {file: /etc/reconciler/db-password}}}",
    ("Host", "gpu-01"): f"""spec:
  address: 10.0.0.8
  ssh: {{user: ops, agent: true, hostKey: "{_KEY}{"A" * 43}"}}
  storageRoots: {{data: /srv/data}}""",
    ("Host", "box"): f"""spec:
  address: 10.0.0.9
  ssh: {{user: ops, agent: true, hostKey: "{_KEY}B{"A" * 42}"}}""",
    ("Profile", "web"): """spec:
  sandbox: {containers: {main: {image: "registry.example/web:1", ports: {web: {container: 8080}}}}}""",
    ("Profile", "observer"): "spec: {extends: web}",
    ("Sandbox", "web-1"): "spec: {profile: web, host: gpu-01}",
}

# A block without a header is a part of the kind that its page is about.
_WHOLE = {
    "fleet": ("Fleet", "lab", ""),
    "host": ("Host", "gpu-02", ""),
    "sandbox": ("Sandbox", "part", "  profile: web\n  host: gpu-01\n"),
}

_BLOCKS = [block for page in PAGES for block in blocks(page) if block.language == "yaml"]


@pytest.mark.parametrize("block", _BLOCKS, ids=lambda block: block.name)
def test_every_yaml_block_is_valid(block: Block, tmp_path: Path) -> None:
    """Load the block among what it refers to; a Job is the one thing that is refused as not there yet."""
    text = _as_document(block)
    (tmp_path / "block.yaml").write_text(text)
    declared = set(re.findall(r"^kind: (\w+)\nmetadata: {name: \"?([\w-]+)", text, re.MULTILINE))
    kinds = {kind for kind, _ in declared}
    for (kind, name), spec in _COMPANIONS.items():
        if (kind, name) not in declared and not (kind == "Fleet" and "Fleet" in kinds):
            head = f"apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
            (tmp_path / f"{kind}-{name}.yaml").write_text(f"{head}{spec}\n")
    try:
        load(tmp_path)
        problems = ""
    except SpecInvalid as error:
        problems = "\n".join(f"{one.code} {one.at} {one.field}: {one.message}" for one in error.problems)
    if "Job" in kinds:
        assert problems.startswith("E_NOT_SUPPORTED")
        assert "\n" not in problems
    else:
        assert problems == ""


def _as_document(block: Block) -> str:
    if "apiVersion:" in block.text:
        return block.text
    kind, name, more = _WHOLE[block.page.stem]
    head = f"apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n{more}"
    return head + textwrap.indent(block.text, "  ")
