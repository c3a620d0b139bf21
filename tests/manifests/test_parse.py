# SPDX-License-Identifier: Apache-2.0
"""Hostile and mistaken manifests: one clear message each, with file, line and field."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.manifests.edges import EDGES, NUMBERS
from tests.manifests.sound import leaves, put
from trustedpods.manifests.parse import MAX_MANIFEST, load, parse_received
from trustedpods.protocol.errors import BadInput

GOOD = """\
apiVersion: trustedpods/v1
kind: Pod
metadata:
  name: web
spec:
  containers:
    - name: nginx
      image: oci-archive:web.tar
      env:
        - name: TOKEN
          valueFrom:
            secretKeyRef: {name: keys, key: token}
      ports:
        - containerPort: 8080
      resources:
        limits: {cpu: 250m, memory: 64Mi}
      volumeMounts:
        - {name: keys, mountPath: /keys, readOnly: true}
        - {name: data, mountPath: /data}
  volumes:
    - name: keys
      secret:
        files: {token: token.txt}
    - name: data
      persistent: {size: 1Gi}
  services:
    - name: web
      expose: http
      ports: [{port: 80, targetPort: 8080}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "token.txt").write_bytes(b"s3cret")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "pod.yaml"
    path.write_text(text)
    return path


def refused(folder: Path, text: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        load(write(folder, text))
    return caught.value


def test_a_sound_manifest_with_its_secret(folder: Path) -> None:
    loaded = load(write(folder, GOOD))
    assert loaded.secrets == {"keys": {"token": b"s3cret"}}
    assert loaded.manifest.replica_size.cpu_milli == 250
    assert loaded.manifest.replica_size.memory_mib == 64
    assert loaded.manifest.volume_mib == 1024


def test_what_travels_parses_to_the_same_manifest(folder: Path) -> None:
    manifest = load(write(folder, GOOD)).manifest
    assert parse_received(manifest.model_dump_json(by_alias=True).encode()) == manifest


FIRST = """\
spec:
  initContainers:
    - name: migrate
      image: oci-archive:web.tar
      resources: {limits: {cpu: 100m, memory: 512Mi}}
"""


def test_a_large_init_container_sets_the_replica_s_size(folder: Path) -> None:
    manifest = load(write(folder, GOOD.replace("spec:\n", FIRST))).manifest
    assert manifest.replica_size.cpu_milli == 250
    assert manifest.replica_size.memory_mib == 512
    assert [container.name for container in manifest.spec.all_containers] == ["migrate", "nginx"]
    twice = refused(folder, GOOD.replace("spec:\n", FIRST.replace("migrate", "nginx")))
    assert "used twice" in twice.what
    probed = FIRST + "      readinessProbe: {tcpSocket: {port: 1}}\n"
    assert "an init container has no probes" in refused(folder, GOOD.replace("spec:\n", probed)).what


MISTAKES = {
    "unknown field": ("kind: Pod", "kind: Pod\nflavour: sweet", 3, "flavour", "unknown field"),
    "unknown nested field": ("- name: nginx", "- name: nginx\n      imgae: x", 8, "imgae", "unknown field"),
    "wrong unit": ("memory: 64Mi", "memory: 64Mo", 16, "limits.memory", "not a size: '64Mo'"),
    "wrong cpu": ("cpu: 250m", "cpu: lots", 16, "limits.cpu", "not a CPU quantity"),
    "missing volume": (
        "name: data, mountPath",
        "name: dota, mountPath",
        19,
        "volumeMounts[1].name",
        "'dota'",
    ),
    "missing secret key": ("key: token}", "key: tokne}", 12, "secretKeyRef.key", "no file 'tokne'"),
    "unlisted port": ("targetPort: 8080", "targetPort: 8081", 29, "ports[0]", "no container lists port 8081"),
    "other kind": ("spec:\n", "spec:\n  strategy: Recreate\n", 5, "spec", "needs workload: replicated"),
    "no such kind": ("kind: Pod", "kind: Pot", 2, "kind", "'Pod'"),
    "bad scale": ("spec:\n", "spec:\n  scale: {min: 3, max: 2}\n", 6, "spec.scale", "min 3 is above max 2"),
    "volume kinds": (
        "persistent: {size: 1Gi}",
        "persistent: {size: 1Gi}\n      emptyDir: {}",
        24,
        "volumes[1]",
        "one of",
    ),
    "no service": ("expose: http", "expose: none", 5, "spec.scale.min", "nothing wakes this pod"),
    "service twice": (
        "  services:",
        "  services:\n    - {name: web, ports: [{port: 1}]}",
        28,
        "name",
        "used twice",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_line(folder: Path, name: str) -> None:
    before, after, line, field, words = MISTAKES[name]
    assert before in GOOD
    error = refused(folder, GOOD.replace(before, after, 1))
    assert error.where is not None
    assert f"pod.yaml:{line} " in error.where
    assert field in error.where
    assert words in error.what


def test_an_absent_secret_file_is_named_with_the_line_that_asks_for_it(folder: Path) -> None:
    (folder / "token.txt").unlink()
    error = refused(folder, GOOD)
    assert error.where is not None
    assert "pod.yaml:23 " in error.where
    assert "token.txt" in error.what


def test_several_mistakes_are_listed_together(folder: Path) -> None:
    error = refused(folder, GOOD.replace("64Mi", "64Mo").replace("kind: Pod", "kind: Pot"))
    assert "'Pod'" in error.what
    assert "64Mo" in error.what


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not valid YAML"),
        ("a: 1\na: 2", "duplicate key"),
        ("%YAML 9.9\n---\na: 1", ""),
        ("!!python/object/apply:os.system ['true']", ""),
        ("[" * 2000, "not valid YAML"),
        ("", ""),
        ("just words", ""),
        ("\0", "not valid YAML"),
    ],
)
def test_what_is_not_a_manifest_is_refused(folder: Path, text: str, words: str) -> None:
    error = refused(folder, text)
    assert words in error.what
    assert "pod.yaml" in (error.where or "")


@pytest.mark.parametrize(
    ("data", "words", "line"),
    [
        (GOOD.encode("utf-16"), "this is UTF-16, not UTF-8", ""),
        (GOOD.encode("utf-16-be"), "not valid YAML", ""),
        (GOOD.replace("token.txt", "schlüssel").encode("latin-1"), "not UTF-8 text", ":23"),
    ],
)
def test_a_text_of_another_encoding(folder: Path, data: bytes, words: str, line: str) -> None:
    path = folder / "pod.yaml"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=words) as caught:
        load(path)
    assert (caught.value.where or "").startswith(f"{path}{line}")


def test_a_second_document_is_told_with_its_line(folder: Path) -> None:
    error = refused(folder, GOOD + "...\n# and\n---\n" + GOOD)
    line = GOOD.count("\n") + 3
    assert error.what == f"one pod per file; a second document begins at line {line}"
    assert error.where == f"{folder / 'pod.yaml'}:{line}"


@given(
    path=st.sampled_from(leaves()), value=st.sampled_from([*EDGES, *NUMBERS, None, True, [], {}]) | st.text()
)
@settings(max_examples=examples(400), deadline=None)
def test_any_value_in_any_field_is_taken_or_refused(path: tuple[str | int, ...], value: object) -> None:
    """And what is taken is the same when it is read again."""
    try:
        manifest = parse_received(json.dumps(put(path, value)).encode())
    except BadInput:
        return
    assert parse_received(manifest.model_dump_json(by_alias=True).encode()) == manifest


def test_a_bomb_is_not_unfolded(folder: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    error = refused(folder, "\n".join(levels))
    assert "unfolded" in error.what
    assert (error.where or "").endswith("pod.yaml:1")  # where what was unfolded so often stands


@pytest.mark.parametrize("many", ["[{}]", "{{{}}}"])
def test_aliases_of_a_long_text_are_not_unfolded(folder: Path, many: str) -> None:
    """Nor are those of a mapping whose one name is long."""
    uses = [f"a{i}: *long" if many[0] == "{" else "*long" for i in range(1000)]
    long = "{" + "x" * 1000 + ": 1}" if many[0] == "{" else "x" * 1000
    error = refused(folder, f"a: &long {long}\nb: {many.format(', '.join(uses))}\n")
    assert "texts of more than 512 KiB" in error.what


@pytest.mark.parametrize("text", ["a: 0x{}", "? 0x{}\n: a"])
def test_a_number_that_python_would_not_write_is_refused(folder: Path, text: str) -> None:
    assert "bits" in refused(folder, text.format("f" * 5000)).what


def test_a_mistake_in_a_merged_mapping_is_placed_where_it_was_merged(folder: Path) -> None:
    text = "base: &base {kind: Pot}\nmetadata: {name: web}\n<<: *base\nspec: {}\n"
    assert "kind" in str(refused(folder, text))


def test_deep_nesting_is_refused(folder: Path) -> None:
    assert "deeper" in refused(folder, "a: " + "[" * 40 + "]" * 40).what


def test_a_huge_file_is_not_read(folder: Path) -> None:
    path = folder / "pod.yaml"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    with pytest.raises(BadInput, match="larger than") as caught:
        load(path)
    assert caught.value.where == f"{path}:1"
    assert path.stat().st_size > MAX_MANIFEST


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_path_that_is_no_file(folder: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"no such file|not a file"):
        load(folder / name)


def test_a_received_manifest_is_checked_too(folder: Path) -> None:
    tree = json.loads(load(write(folder, GOOD)).manifest.model_dump_json(by_alias=True))
    tree["spec"]["containers"][0]["volumeMounts"][0]["name"] = "other"
    with pytest.raises(BadInput, match="other"):
        parse_received(json.dumps(tree).encode())


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.binary(max_size=300) | json_like.map(lambda tree: json.dumps(tree).encode()))
@settings(
    max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_any_bytes_give_bad_input_or_a_manifest(folder: Path, data: bytes) -> None:
    path = folder / "pod.yaml"
    path.write_bytes(data)
    for attempt in (lambda: load(path), lambda: parse_received(data)):
        with pytest.raises(BadInput):
            attempt()


DIRECTORY = GOOD.replace("files: {token: token.txt}", "directory: ./keys")


def test_a_directory_of_secrets_stands_for_all_of_its_files(folder: Path) -> None:
    (folder / "keys").mkdir()
    (folder / "keys" / "token").write_bytes(b"a")
    (folder / "keys" / "other").write_bytes(b"b")
    loaded = load(write(folder, DIRECTORY))
    assert loaded.secrets["keys"] == {"token": b"a", "other": b"b"}
    secret = loaded.manifest.spec.volumes[0].secret
    assert secret is not None
    assert (secret.directory, list(secret.files)) == (None, ["other", "token"])
    parse_received(loaded.manifest.model_dump_json(by_alias=True).encode(), loaded.secrets)


def test_what_a_directory_of_secrets_lacks_is_named(folder: Path) -> None:
    (folder / "keys").mkdir()
    assert "has no files" in refused(folder, DIRECTORY).what
    (folder / "keys" / "other").write_bytes(b"b")
    assert "has no file 'token'" in refused(folder, DIRECTORY).what
    (folder / "keys" / "token").write_bytes(b"a")
    (folder / "keys" / "with blank").write_bytes(b"a")
    error = refused(folder, DIRECTORY)
    assert "'with blank' cannot stand here" in error.what
    assert "pod.yaml:23 " in (error.where or "") or "pod.yaml:22 " in (error.where or "")


def test_a_directory_that_is_not_there_is_named_with_its_line(folder: Path) -> None:
    error = refused(folder, DIRECTORY)
    assert "no such directory" in error.what
    assert "pod.yaml:23 spec.volumes[0].secret.directory" in (error.where or "")


def test_a_seed_is_read_with_the_folders_of_all_replicas(folder: Path) -> None:
    text = GOOD.replace(
        "persistent: {size: 1Gi}", 'persistent: {size: 1Gi}\n      seed: {directory: "d{ordinal}"}'
    )
    text = text.replace("spec:\n", "spec:\n  workload: stateful\n  replicas: 2\n")
    for ordinal in range(2):
        (folder / f"d{ordinal}" / "node").mkdir(parents=True)
        (folder / f"d{ordinal}" / "node" / "key").write_bytes(b"%d" % ordinal)
    loaded = load(write(folder, text))
    assert loaded.seeds == {("data", 0): {"node/key": b"0"}, ("data", 1): {"node/key": b"1"}}
    (folder / "d1" / "node" / "key").unlink()
    assert "the seed of replica 1 has no files" in refused(folder, text).what
    (folder / "d1" / "large").write_bytes(b"x" * (1 << 20))
    assert "larger than 1024 KiB" in refused(folder, text).what
