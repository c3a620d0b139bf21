# SPDX-License-Identifier: Apache-2.0
"""Ten Compose files as people write them: each converts to a sound manifest, or is refused field by field.

docs/convert.md has them in a table, which stands here too.
"""

import pytest

from tests.paths import ROOT
from trustedpods.manifests.convert.file import convert
from trustedpods.manifests.documents import first_document, plain, written
from trustedpods.manifests.parse import load_made
from trustedpods.protocol.errors import BadInput

FOLDER = ROOT / "tests/manifests/convert/typical"

SHAPES = {
    "anchors": ("what services share, by anchors and `<<`", []),
    "extends": ("services built upon others", ["services.web.extends", "services.worker.extends"]),
    "health": ("healthchecks in all their forms, a migration first", []),
    "long_forms": ("ports and volumes in their long form", []),
    "networks": (
        "a proxy that reads Docker's socket, networks, a service on the machine's own",
        ["services.proxy.volumes[0]", "services.agent.network_mode"],
    ),
    "profiles": ("services of profiles, a variable of `.env`", []),
    "resources": ("sizes and replicas as for a swarm, files of variables", []),
    "secrets": ("secrets and configs of all kinds", ["secrets.token", "configs.inline"]),
    "stack": ("web, cache and database, nested defaults, a password of `.env`", []),
    "written_out": ("what `docker compose config` prints", []),
}
"""What each file holds, and the fields that are refused."""


def test_there_is_a_row_for_each_file():
    assert sorted(SHAPES) == sorted(path.stem for path in FOLDER.glob("*.yaml"))
    assert len(SHAPES) == 10


@pytest.mark.parametrize("name", [name for name, (_, refused) in SHAPES.items() if not refused])
def test_it_converts_to_a_sound_manifest(name):
    path = FOLDER / "pod.yaml"
    tree, _ = first_document(written(convert(FOLDER / f"{name}.yaml").tree), path)
    assert load_made(path, tree, plain(tree, path)).manifest.spec.containers


@pytest.mark.parametrize("name", [name for name, (_, refused) in SHAPES.items() if refused])
def test_it_is_refused_in_one_line_for_each_field(name):
    with pytest.raises(BadInput) as caught:
        convert(FOLDER / f"{name}.yaml")
    lines = str(caught.value).splitlines()
    assert [line.partition(": ")[0].partition(" ")[2] for line in lines] == SHAPES[name][1]


def test_the_table_of_the_docs_says_the_same():
    rows = [
        f"| `{name}.yaml`: {what} | {', '.join(f'`{field}` refused' for field in refused) or 'converts'} |"
        for name, (what, refused) in SHAPES.items()
    ]
    assert "\n".join(rows) in (ROOT / "docs/convert.md").read_text()


def test_what_is_written_elsewhere_leads_to_docker():
    with pytest.raises(BadInput, match="docker compose config"):
        convert(FOLDER / "extends.yaml")


def env_of(tree, name):
    (one,) = (one for one in tree["spec"]["containers"] if one["name"] == name)
    return {entry["name"]: entry["value"] for entry in one["env"]}


def test_a_stack_has_its_password_and_its_nested_default():
    made = convert(FOLDER / "stack.yaml")
    assert env_of(made.tree, "web") == {
        "DATABASE_URL": "postgres://shop:not a real $ecret@db:5432/shop",
        "REDIS_URL": "redis://cache:6379/0",
        "LOG_LEVEL": "info",
    }
    assert env_of(made.tree, "db")["POSTGRES_PASSWORD"] == "not a real $ecret"
    assert made.private
    assert any(".env, written into the manifest: POSTGRES_PASSWORD" in note for note in made.notes)


def test_numbers_may_be_variables():
    made = convert(FOLDER / "resources.yaml", shell={"REPLICAS": "2"})
    assert made.tree["spec"]["scale"] == {"min": 2, "max": 2}
    assert env_of(made.tree, "api") == {"TAGGED": "api-2.4", "PLAIN": "1"}
    health = convert(FOLDER / "health.yaml", shell={"RETRIES": "7"}).tree["spec"]["containers"][0]
    assert health["readinessProbe"]["failureThreshold"] == 7


def test_anchors_are_merged():
    made = convert(FOLDER / "anchors.yaml")
    assert env_of(made.tree, "worker") == {"TZ": "Etc/UTC", "MODE": "production", "QUEUES": "default,mail"}
