"""Load every YAML block of the pages: what a reader copies is valid."""

import re
import textwrap
from pathlib import Path

import pytest

from reconciler.load import load
from reconciler.model.problem import SpecInvalid
from tests.docs.pages import PAGES, ROOT, Block, blocks

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


_SCHEMA = re.compile(r"^# yaml-language-server: \$schema=(?P<path>\S+)$", re.MULTILINE)
_HEADER = re.compile(r"^apiVersion:", re.MULTILINE)


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("*.md")], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_whole_document_on_a_page_tells_an_editor_its_schema(page: Path) -> None:
    """Look before the header of each block: where the block says which file it is, the path must lead there."""
    for block in blocks(page):
        header = _HEADER.search(block.text)
        if header is None:
            continue
        named = _SCHEMA.search(block.text, 0, header.start())
        assert named is not None, f"{page}:{block.line}"
        path = named["path"] if block.file is None else str((ROOT / block.file).parent / named["path"])
        assert path.endswith("/schemas/reconciler.json"), f"{page}:{block.line}"
        assert block.file is None or Path(path).resolve() == ROOT / "schemas/reconciler.json", f"{page}:{block.line}"


@pytest.mark.parametrize(
    "file",
    sorted(path for folder in ("specs", "profiles") for path in (ROOT / folder).rglob("*.yaml")),
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_every_file_that_we_ship_tells_an_editor_its_schema(file: Path) -> None:
    """Follow the path of its first line."""
    named = _SCHEMA.match(file.read_text())
    assert named is not None
    assert (file.parent / named["path"]).resolve() == ROOT / "schemas/reconciler.json"


def _as_document(block: Block) -> str:
    if "apiVersion:" in block.text:
        return block.text
    kind, name, more = _WHOLE[block.page.stem]
    head = f"apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n{more}"
    return head + textwrap.indent(block.text, "  ")
