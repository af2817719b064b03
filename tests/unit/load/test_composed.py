"""Read a compose file as far as a plan needs it, and see that compose will read nothing outside of its tree."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.disk.tree import read_tree
from reconciler.disk.unreadable import TreeUnreadable
from reconciler.load.composed import SIZE_MAX_BYTES, with_services
from reconciler.model.resource import Compose, Tree

FILE = "compose.yaml"


def read(folder: Path, text: str | bytes, *, file: str = FILE, exclude: tuple[str, ...] = ()) -> Compose:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    tree = Tree(path="/t", folder=str(folder))
    return with_services(Compose(folder="/t", file=file), tree, read_tree(folder, exclude))


def refused(folder: Path, text: str | bytes, *, file: str = FILE) -> str:
    with pytest.raises(TreeUnreadable) as caught:
        read(folder, text, file=file)
    assert caught.value.hint
    return caught.value.message


def test_services_are_named_in_order(tmp_path: Path) -> None:
    found = read(tmp_path, "services: {web: {image: x}, db: {image: y}, my_job-2: {}}")
    assert (found.services, found.once) == (("db", "my_job-2", "web"), ())


def test_services_of_a_profile_are_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, "services: {web: {profiles: []}, Debug: {profiles: [debug]}}")
    assert found.services == ("web",)


def test_those_that_others_wait_for_to_complete_are_known(tmp_path: Path) -> None:
    text = """
    services:
      migrate: {}
      cache: {}
      hidden: {profiles: [x]}
      short: {depends_on: [migrate]}
      web:
        depends_on:
          migrate: {condition: service_completed_successfully}
          hidden: {condition: service_completed_successfully}
          cache: {condition: service_started}
    """
    assert read(tmp_path, text).once == ("migrate",)


@pytest.mark.parametrize(
    ("service", "limit_bytes"),
    [
        ("{mem_limit: 512m}", 512 * 2**20),
        ("{mem_limit: 1.5gb}", 3 * 2**29),
        ("{mem_limit: 1024}", 1024),
        ('{deploy: {resources: {limits: {memory: "2 G"}}}}', 2**31),
        ("{mem_limit: '${LIMIT}'}", None),
        ("{mem_limit: 99999999999999999999999999g}", None),
        ("{deploy: [resources]}", None),
        ("{}", None),
    ],
)
def test_memory_limits_are_known_where_the_file_tells_them(
    tmp_path: Path, service: str, limit_bytes: int | None
) -> None:
    found = read(tmp_path, f"services: {{web: {service}, db: {{}}}}")
    assert found.memory == ({} if limit_bytes is None else {"web": limit_bytes})


def test_anchors_and_merged_keys_are_followed(tmp_path: Path) -> None:
    text = "x-a: &a {env_file: /etc/passwd}\nservices: {web: {<<: *a, image: x}}"
    assert "services.web.env_file names '/etc/passwd'" in refused(tmp_path, text)
    once = "x-d: &d {m: {condition: service_completed_successfully}}\nservices: {m: {}, web: {depends_on: *d}}"
    assert read(tmp_path, once).once == ("m",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: [web]", "has no `services:`"),
        ("services: {web: null}", "has no `services:`"),
        ("{}", "has no `services:`"),
        ("[]", "holds no mapping"),
        ("", "holds no mapping"),
        ("a: [", "is no YAML"),
        ("services: {web: {}}\n---\nservices: {db: {}}", "is no YAML"),
        ("services: {web: {}, web: {}}", "is no YAML"),
        ("services: !reset {web: {}}", "is no YAML"),
        ("services: {web: {a: !!int ''}}", "is no YAML"),
        ("services: {web: {a: !!timestamp x}}", "is no YAML"),
        ("services: {web: {a: 2020-99-99}}", "is no YAML"),
        ("[" * 5000, "is no YAML"),
        (b"\xff\xfes\x00", "is no YAML"),
        ("services: {Web: {}}", "not made of lower-case letters"),
        ("services: {a/b: {}}", "not made of lower-case letters"),
        ("services: {a.b: {}}", "not made of lower-case letters"),
        ("services: {web: {profiles: [x]}}", "names no service that is always brought up"),
        ("services: {}", "names no service"),
        ("include: [x]\nservices: {web: {}}", "`include` is not followed"),
        ("services: {web: {}}" + " " * SIZE_MAX_BYTES, "at most"),
    ],
)
def test_a_file_that_cannot_be_brought_up_service_by_service_is_refused(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    assert said in refused(tmp_path, text)


def test_a_file_that_is_not_sent_is_not_brought_up(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("local/\n")
    assert "is no file of the tree" in refused(tmp_path, "services: {web: {}}", file="local/compose.yaml")
    with pytest.raises(TreeUnreadable, match="is no file of the tree"):
        read(tmp_path, "services: {web: {}}", exclude=(FILE,))


# What compose would read ----------------------------------------------------------------------------------------------

OUTSIDE = ["/etc/passwd", "../x", "a/../../x", "~/x", "${HOME}/x", "$X", "..", "a/$$b", ["a", "/etc/passwd"]]


@pytest.mark.parametrize("path", OUTSIDE, ids=str)
@pytest.mark.parametrize("field", ["env_file", "label_file"])
def test_a_file_outside_of_the_tree_gives_no_values(tmp_path: Path, field: str, path: str | list[str]) -> None:
    message = refused(tmp_path, f"services: {{web: {{{field}: {str(path)!r}}}}}" if isinstance(path, str) else
                      f"services: {{web: {{{field}: {path}}}}}")  # fmt: skip
    assert f"services.web.{field} names" in message
    assert "not certain to be in the tree" in message


def test_the_long_form_is_no_way_out(tmp_path: Path) -> None:
    text = "services: {web: {env_file: [{path: /etc/passwd, required: false}]}}"
    assert "services.web.env_file names '/etc/passwd'" in refused(tmp_path, text)
    assert "services.web.env_file names None" in refused(tmp_path, "services: {web: {env_file: [{}]}}")


def test_a_service_of_a_profile_is_no_way_out(tmp_path: Path) -> None:
    text = "services: {web: {}, hidden: {profiles: [x], env_file: /etc/passwd}}"
    assert "services.hidden.env_file names" in refused(tmp_path, text)


@pytest.mark.parametrize("path", ["web.env", "./web.env", "sub/../web.env", "not there"])
def test_files_of_the_tree_may_give_values(tmp_path: Path, path: str) -> None:
    assert read(tmp_path, f"services: {{web: {{env_file: [{path!r}]}}}}").services == ("web",)
    assert read(tmp_path, f"services: {{web: {{env_file: ../{path}}}}}", file="sub/compose.yaml").services == ("web",)


def test_what_is_extended_is_followed_from_file_to_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/base.yaml").write_text("services: {a: {extends: b}, b: {extends: {service: c, file: c.yaml}}}")
    (tmp_path / "sub/c.yaml").write_text("services: {c: {env_file: ../web.env}, d: {env_file: /etc/passwd}}")
    text = "services: {web: {extends: {file: sub/base.yaml, service: a}}}"
    assert read(tmp_path, text).services == ("web",)
    (tmp_path / "sub/c.yaml").write_text("services: {c: {env_file: ../../web.env}}")
    assert "sub/c.yaml: services.c.env_file names '../../web.env'" in refused(tmp_path, text)


@pytest.mark.parametrize("file", ["/etc/x.yaml", "../x.yaml", "$X", "https://127.0.0.1/x.git", "oci://x/y"])
def test_nothing_is_extended_from_outside(tmp_path: Path, file: str) -> None:
    message = refused(tmp_path, f"services: {{web: {{extends: {{file: {file!r}, service: a}}}}}}")
    assert "not certain to be in the tree" in message or "is no file of the tree" in message


def test_services_that_extend_each_other_end(tmp_path: Path) -> None:
    """Compose itself refuses them."""
    assert read(tmp_path, "services: {a: {extends: b}, b: {extends: {service: a}}, c: {extends: gone}}").services


texts = st.recursive(
    st.sampled_from(["null", "1", "x", "/etc/passwd", "'$X'", "2020-01-01", "!!int ''", "&a 1", "*a"]),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda parts: f"[{', '.join(parts)}]")
        | st.dictionaries(
            st.sampled_from(
                ["services", "web", "extends", "env_file", "file", "service", "depends_on", "<<", "profiles"]
            ),
            inner,
            max_size=3,
        ).map(lambda parts: "{" + ", ".join(f"{key}: {value}" for key, value in parts.items()) + "}")
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(texts)
def test_whatever_it_holds_it_is_read_or_refused(tmp_path: Path, said: str) -> None:
    with suppress(TreeUnreadable):
        assert read(tmp_path, f"services: {{web: {said}}}").services == ("web",)
